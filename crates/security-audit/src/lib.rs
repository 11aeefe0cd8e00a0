//! What was done and what was refused, and the proof that none of it was changed.

use part::Part;

pub static PART: Part = Part { name: "security-audit", about: ("audit", "감사"), ..Part::EMPTY };
