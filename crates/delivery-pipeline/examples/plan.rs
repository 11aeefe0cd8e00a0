//! How long it takes to read a pipeline of 5,000 lines and to plan it: `plan ROUNDS` for `cargo xtask bench`.

#![allow(clippy::expect_used, reason = "a measurement may fail loudly")]

use delivery_pipeline::gitlab::{FILE, Got};
use delivery_pipeline::lint::{Suppose, lint};
use kernel::Lang;
use std::fmt::Write;
use std::time::Instant;

const LINES: usize = 5_000;

/// As large pipelines are written: templates, a job for each component and stage, rules, needs, caches.
fn pipeline() -> String {
    let mut out = String::from(HEAD);
    let mut number = 0;
    while out.lines().count() < LINES {
        let needs = if number == 0 { String::new() } else { format!("build-{}", number - 1) };
        let needs = if number % 10 == 0 { String::new() } else { needs };
        write!(
            out,
            "
build-{number}:
  extends: .build
  needs: [{needs}]
  variables:
    COMPONENT: component-{number}
    FLAGS: \"--release $COMPONENT\"
  script:
    - !reference [.setup, script]
    - make build-{number}
    - make package
  artifacts:
    paths:
      - out/{number}/

test-{number}:
  extends: [.test, .on-change]
  needs:
    - job: build-{number}
      artifacts: true
  script:
    - make test-{number}
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
    - if: $CI_COMMIT_TAG =~ /^v\\d+/
      when: manual
    - changes: [src/{number}/**/*]
"
        )
        .expect("a string takes everything");
        number += 1;
    }
    out
}

const HEAD: &str = "stages: [build, test, deploy]
variables:
  CARGO_HOME: $CI_PROJECT_DIR/.cargo
default:
  retry: 1
  interruptible: true
.setup:
  script:
    - echo setup
    - ./ci/setup.sh
.build:
  stage: build
  cache:
    key:
      files: [Cargo.lock]
    paths: [.cargo/]
.test:
  stage: test
  allow_failure: false
.on-change:
  rules:
    - changes: [src/**/*]
";

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(50);
    let file = pipeline();
    let mut times = Vec::new();
    let mut steps = 0;
    for _ in 0..rounds {
        let began = Instant::now();
        let found = lint(FILE, &Suppose::default(), Lang::En, |_| Got::File(file.clone().into()));
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        assert!(found.valid, "{:?}", found.error);
        steps = found.steps.len();
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or(f64::NAN);
    let lines = file.lines().count();
    println!(
        "{lines} lines, {steps} steps: {:.1} / {:.1} / {:.1} ms (min, median, p99 of {rounds})",
        at(0),
        at(50),
        at(99)
    );
}
