//! Reads protobuf messages field by field, as far as SentencePiece's files need it.

/// One value of a protobuf message.
pub(crate) enum Value<'a> {
    Number(u64),
    Word(u32),
    Bytes(&'a [u8]),
    /// 64 bits, which no field that is read has.
    Long,
}

/// The fields of a protobuf message, each with its number; after an error there are no more.
pub(crate) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Value<'_>), String>> {
    std::iter::from_fn(move || {
        let rest = &mut bytes;
        if rest.is_empty() {
            return None;
        }
        let field = next_field(rest);
        if field.is_none() {
            *rest = &[];
        }
        Some(field.ok_or_else(|| "no SentencePiece model, or a broken one".to_owned()))
    })
}

fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(bytes)?;
    let value = match key & 7 {
        0 => Value::Number(varint(bytes)?),
        1 => {
            take(bytes, 8)?;
            Value::Long
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Value::Bytes(take(bytes, length)?)
        }
        5 => Value::Word(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}
