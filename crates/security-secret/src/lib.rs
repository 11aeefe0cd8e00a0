//! Secrets of projects.

use part::Part;

pub static PART: Part =
    Part { name: "security-secret", about: ("secrets", "비밀 값"), ..Part::EMPTY };
