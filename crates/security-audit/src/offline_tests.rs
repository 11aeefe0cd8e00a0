use super::*;
use proptest::prelude::*;
use std::io::Cursor;

proptest! {
    /// Whatever the bytes are, there is an answer.
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let report = verify(Cursor::new(bytes), Vec::new());
        prop_assert!(report.is_err() || !report.unwrap().holds());
    }
}

#[test]
fn what_is_no_export_is_said_with_its_line() {
    let error = verify(Cursor::new(b"hello\n"), Vec::new()).unwrap_err();
    assert_eq!(error.code(), "audit.export-damaged");
    assert!(error.say().en.contains("line 1"), "{error}");
    assert_eq!(verify(Cursor::new(b""), Vec::new()).unwrap_err().code(), "audit.export-damaged");
}
