//! Applications sign in with accounts of naru.

use part::Part;

pub static PART: Part = Part {
    name: "security-sso",
    about: ("sign-in for applications", "애플리케이션 로그인"),
    ..Part::EMPTY
};
