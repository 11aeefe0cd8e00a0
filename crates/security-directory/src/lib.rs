//! People, groups and service accounts, and how they sign in.

use part::Part;

pub static PART: Part = Part {
    name: "security-directory",
    about: ("people, groups, sign-in, my account", "사람, 그룹, 로그인, 내 계정"),
    kinds: account::KINDS,
    ..Part::EMPTY
};
