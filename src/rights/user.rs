//! The user that the process becomes, with every one of its threads.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Uid, User, getresgid, getresuid, initgroups, setresgid, setresuid};
use rustix::thread::set_keep_capabilities;
use thiserror::Error;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Why the process does not run as a user.
#[derive(Debug, Error)]
pub enum AccountError {
    /// Nobody is called so.
    #[error("there is no user {0:?} on this machine")]
    Nobody(String),
    /// The users cannot be asked for.
    #[error("cannot look up the user {0:?}: {1}")]
    Unknown(String, #[source] io::Error),
    /// The system refuses it.
    #[error("cannot become user {0}: {1}; it takes root, or CAP_SETUID and CAP_SETGID")]
    Refused(String, #[source] io::Error),
}

impl Account {
    /// The user of this name or number.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(name: &str) -> Result<Self, AccountError> {
        let unknown = |error: nix::Error| AccountError::Unknown(name.to_owned(), error.into());
        let mut found = User::from_name(name).map_err(unknown)?;
        if let (None, Ok(number)) = (&found, name.parse()) {
            found = User::from_uid(Uid::from_raw(number)).map_err(unknown)?;
        }
        let User { name, uid, gid, .. } = found.ok_or_else(|| AccountError::Nobody(name.to_owned()))?;
        Ok(Self { name, uid, gid })
    }

    /// What the user is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The numbers of the user and its group.
    #[must_use]
    pub fn numbers(&self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }

    /// Makes this process the user's: all of its threads. The capabilities of the calling thread stay permitted, and the
    /// other threads lose theirs unless the user is root.
    ///
    /// # Errors
    /// When the process may not.
    pub fn take_over(&self) -> Result<(), AccountError> {
        let refused = |error: io::Error| AccountError::Refused(self.name.clone(), error);
        if self.is_in_force() {
            return Ok(());
        }
        let name = CString::new(self.name.as_str()).map_err(|error| refused(error.into()))?;
        set_keep_capabilities(true).map_err(|error| refused(error.into()))?;
        let Self { uid, gid, .. } = *self;
        let changed = initgroups(&name, gid)
            .and_then(|()| setresgid(gid, gid, gid))
            .and_then(|()| setresuid(uid, uid, uid))
            .map_err(|error| refused(error.into()));
        set_keep_capabilities(false).map_err(|error| refused(error.into()))?;
        changed
    }

    /// Whether this process runs as the user already.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        let is_user = getresuid().is_ok_and(|now| [now.real, now.effective, now.saved] == [self.uid; 3]);
        is_user && getresgid().is_ok_and(|now| [now.real, now.effective, now.saved] == [self.gid; 3])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = Account::find("root").unwrap();
        assert_eq!((root.name(), root.numbers()), ("root", (0, 0)));
        assert_eq!(Account::find("0").unwrap(), root);
        let nobody = Account::find("no such user").unwrap_err();
        assert_eq!(nobody.to_string(), r#"there is no user "no such user" on this machine"#);
    }

    #[test]
    fn whoever_is_the_user_already_needs_no_right_to_become_it() {
        let uid = getresuid().unwrap().effective.as_raw().to_string();
        if let Ok(own) = Account::find(&uid) {
            own.take_over().unwrap();
        }
    }
}
