//! One table gives the events of the log: the type, the stable name, level and fields of each, its words, and its
//! documentation.

/// Defines [`LogEvent`](super::LogEvent). An event is what it means, as its comment; its name in the program; the name that
/// never changes; its level; its fields; its words, which are the line in the log, with values beside them where a field
/// alone does not say it; and what to do about it.
macro_rules! log_events {
    ($(
        $(#[doc = $about:literal])+
        $Event:ident $name:literal $Level:ident { $($field:ident: $Type:ty),* }
        $words:literal $(, $value:expr)*;
        $advice:literal
    )*) => {
        /// Something that happened, as the log, `transload events` and the journal have it.
        #[expect(missing_docs, reason = "`FIELDS` says what each field is, one for all events")]
        #[derive(Debug, Clone)]
        pub enum LogEvent<'a> {
            $($(#[doc = $about])+ $Event { $($field: $Type),* },)*
        }

        /// Every kind of event, as `docs/EVENTS.md` lists them.
        pub const KINDS: &[EventKind] = &[$(log_events!(@kind $name $Level [$($about)+] $advice $($field)*)),*];

        impl LogEvent<'_> {
            /// What is the same in all events of its kind.
            #[must_use]
            pub fn kind(&self) -> &'static EventKind {
                match self {
                    $(Self::$Event { .. } => &log_events!(@kind $name $Level [$($about)+] $advice $($field)*),)*
                }
            }

            /// The tenant that it is about, if it is about one.
            pub(super) fn tenant(&self) -> Option<&str> {
                match self {
                    $(Self::$Event { $($field),* } => {
                        let fields: &[(&str, &dyn EventField)] = &[$((stringify!($field), $field)),*];
                        fields.iter().find(|(name, _)| *name == "tenant").and_then(|(_, value)| value.text())
                    })*
                }
            }

            /// Its fields, by name.
            pub(super) fn fields(&self) -> BTreeMap<String, Value> {
                match self {
                    $(Self::$Event { $($field),* } => {
                        let fields: &[(&str, &dyn EventField)] = &[$((stringify!($field), $field)),*];
                        fields.iter().map(|(name, value)| ((*name).to_owned(), value.json())).collect()
                    })*
                }
            }
        }

        impl fmt::Display for LogEvent<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Event { $($field),* } => {
                        let _ = ($($field,)*);
                        write!(f, $words $(, $value)*)
                    })*
                }
            }
        }
    };
    (@kind $name:literal $Level:ident [$($about:literal)+] $advice:literal $($field:ident)*) => {
        EventKind {
            name: $name,
            target: concat!("transload::", $name),
            level: EventLevel::$Level,
            about: concat!($($about),+),
            advice: $advice,
            fields: &[$(stringify!($field)),*],
        }
    };
}
pub(super) use log_events;
