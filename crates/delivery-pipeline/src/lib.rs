//! Pipelines: .gitlab-ci.yml to a plan, jobs on the host.
