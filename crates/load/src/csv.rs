//! Comma-separated values (RFC 4180), with a line of names first.

/// The names, and the rows in their order.
///
/// # Errors
/// The line (from 1) that does not fit.
pub fn parse(words: &str) -> Result<(Vec<String>, Vec<Vec<String>>), usize> {
    let words = words.strip_prefix('\u{feff}').unwrap_or(words);
    let mut records: Vec<(usize, Vec<String>)> = Vec::new();
    let (mut record, mut field, mut line, mut began) = (Vec::new(), String::new(), 1, 1);
    let mut quoted = false;
    let mut chars = words.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' => {
                line += 1;
                if quoted {
                    field.push(c);
                } else {
                    record.push(std::mem::take(&mut field));
                    records.push((began, std::mem::take(&mut record)));
                    began = line;
                }
            }
            '\r' if !quoted => {}
            c => field.push(c),
        }
    }
    if quoted {
        return Err(began);
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push((began, record));
    }
    records.retain(|(_, r)| r.iter().any(|f| !f.is_empty()));
    let mut records = records.into_iter();
    let (_, names) = records.next().ok_or(1_usize)?;
    let sound =
        |(line, r): (usize, Vec<String>)| if r.len() == names.len() { Ok(r) } else { Err(line) };
    let rows = records.map(sound).collect::<Result<Vec<_>, usize>>()?;
    Ok((names, rows))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quotes_breaks_and_wrong_lines() {
        let (names, rows) = parse("a,b\r\n1,\"x,\"\"y\"\"\nz\"\n\n2,\n").unwrap();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(rows, [["1", "x,\"y\"\nz"], ["2", ""]]);
        assert_eq!(parse("a,b\n1\n"), Err(2));
        assert_eq!(parse("a,b\n\"1,2\n"), Err(2));
        assert_eq!(parse(""), Err(1));
    }
}
