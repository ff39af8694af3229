//! Numbers and booleans, read from their spelling.

use super::NodeReader;
use super::error::ReadError;
use crate::config::meant;
use crate::config::tree::Value;

/// A whole number in decimal, or in hexadecimal behind `0x`.
pub(in crate::config) fn parse(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(hex, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

pub(super) fn whole_number(reader: NodeReader<'_, '_>) -> Result<u64, ReadError> {
    let expected = || reader.expected("a whole number");
    match &reader.node.value {
        // To some readers of YAML this is an octal number.
        Value::Plain(text)
            if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            let number = text.trim_start_matches('0');
            let plain = if number.is_empty() { "0" } else { number };
            Err(ReadError::new(format!("{text} begins with a zero")).instead(plain))
        }
        Value::Plain(text) => parse(text).ok_or_else(|| match text.strip_prefix('-') {
            Some(rest) if parse(rest).is_some() => {
                ReadError::new(format!("{text} is negative")).help("write 0 or more")
            }
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                ReadError::new(format!("{text} is too large"))
            }
            _ => match meant::number(text) {
                Some(number) => expected().instead(&number),
                None => expected().help("write it in decimal, such as 5100, or in hexadecimal, such as 0x13ec"),
            },
        }),
        Value::Quoted(text) if parse(text).is_some() => Err(expected().help("remove the quotes")),
        Value::Quoted(text) if let Some(number) = meant::number(text) => Err(expected().instead(&number)),
        _ => Err(expected()),
    }
}

pub(super) fn boolean(reader: NodeReader<'_, '_>) -> Result<bool, ReadError> {
    let expected = || reader.expected("`true` or `false`");
    match &reader.node.value {
        Value::Plain(text) => match text.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(match text.to_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "1" => expected().help("write `true`"),
                "false" | "no" | "off" | "n" | "0" => expected().help("write `false`"),
                _ => expected(),
            }),
        },
        _ => Err(expected()),
    }
}
