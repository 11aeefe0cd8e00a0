//! Services: releases, rollouts, instances, health.
