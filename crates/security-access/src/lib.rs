//! Who may do what: shown, explained, asked for.

use part::Part;

pub static PART: Part = Part {
    name: "security-access",
    about: ("policies, grants, who may what", "정책, 임시 권한, 누가 무엇을 할 수 있는지"),
    ..Part::EMPTY
};
