//! The arithmetic of a rollout: how many replicas each ReplicaSet should have next. Pure.
//!
//! Upstream: pkg/controller/deployment/{rolling,sync}.go and util/deployment_util.go.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, RollingUpdateDeployment};

use crate::percent::scaled;

/// Upstream: `appsv1.DefaultDeploymentUniqueLabelKey`.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Replicas the ReplicaSet is told to have.
pub(super) fn wanted(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
}

/// Available replicas the ReplicaSet last reported.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0)
}

/// Pods the ReplicaSet last reported.
pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |s| s.replicas)
}

/// Replicas the Deployment is told to have.
pub(super) fn desired(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
}

pub(super) fn is_recreate(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|s| s.strategy.as_ref());
    strategy.and_then(|s| s.type_.as_deref()) == Some("Recreate")
}

pub(super) fn is_paused(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|s| s.paused).unwrap_or(false)
}

fn rolling(deployment: &Deployment) -> Option<&RollingUpdateDeployment> {
    deployment.spec.as_ref()?.strategy.as_ref()?.rolling_update.as_ref()
}

/// (max surge, max unavailable) in pods; never both zero. Upstream: `ResolveFenceposts`.
fn fenceposts(deployment: &Deployment) -> (i32, i32) {
    if is_recreate(deployment) {
        return (0, 0);
    }
    let total = desired(deployment);
    let surge = scaled(rolling(deployment).and_then(|r| r.max_surge.as_ref()), total, true);
    let unavailable = scaled(
        rolling(deployment).and_then(|r| r.max_unavailable.as_ref()),
        total,
        false,
    );
    if surge == 0 && unavailable == 0 {
        (0, 1)
    } else {
        (surge, unavailable)
    }
}

/// Pods above the desired count that a rollout may have.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    fenceposts(deployment).0
}

/// Pods below the desired count that a rollout may have.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) || desired(deployment) == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(desired(deployment))
}

/// Replicas of the new ReplicaSet next. `total` is what all ReplicaSets are told to have, `new` what the new one is.
/// Upstream: `NewRSNewReplicas`.
pub(super) fn new_set_replicas(deployment: &Deployment, total: i32, new: i32) -> i32 {
    let desired = desired(deployment);
    if is_recreate(deployment) {
        return desired;
    }
    let limit = desired + max_surge(deployment);
    if total >= limit {
        return new;
    }
    new + (limit - total).min(desired - new)
}

/// Whether the new ReplicaSet is at the Deployment's size and says so. Upstream: `IsSaturated`.
pub(super) fn is_saturated(deployment: &Deployment, set: Option<&ReplicaSet>) -> bool {
    let Some(set) = set else { return false };
    let noted = super::revision::desired_annotation(set);
    wanted(set) == desired(deployment) && noted == Some(desired(deployment)) && available(set) == desired(deployment)
}

/// New sizes of old ReplicaSets, as (index, replicas): first what is unhealthy, then what availability allows.
/// `old` is oldest first. Upstream: `reconcileOldReplicaSets`.
pub(super) fn shrink_old(deployment: &Deployment, old: &[ReplicaSet], new: &ReplicaSet) -> Vec<(usize, i32)> {
    let mut sizes: Vec<i32> = old.iter().map(wanted).collect();
    if sizes.iter().sum::<i32>() == 0 {
        return Vec::new();
    }
    let min_available = desired(deployment) - max_unavailable(deployment);
    let total = sizes.iter().sum::<i32>() + wanted(new);
    let new_unavailable = wanted(new) - available(new);
    let may_go = total - min_available - new_unavailable;
    if may_go <= 0 {
        return Vec::new();
    }
    // Upstream: `cleanupUnhealthyReplicas`.
    let mut gone = 0;
    for (size, set) in sizes.iter_mut().zip(old) {
        if gone >= may_go {
            break;
        }
        let unhealthy = (*size - available(set)).min(may_go - gone);
        if *size == 0 || unhealthy <= 0 {
            continue;
        }
        *size -= unhealthy;
        gone += unhealthy;
    }
    // Upstream: `scaleDownOldReplicaSetsForRollingUpdate`.
    let available_now = old.iter().map(available).sum::<i32>() + available(new);
    let mut spare = (available_now - min_available).max(0);
    for size in &mut sizes {
        let step = (*size).min(spare);
        *size -= step;
        spare -= step;
    }
    sizes
        .iter()
        .enumerate()
        .filter(|(i, size)| **size != wanted(&old[*i]))
        .map(|(i, size)| (i, *size))
        .collect()
}

/// New sizes in proportion when a Deployment is scaled in the middle of a rollout. `active` are the ReplicaSets with
/// replicas. Upstream: `scale` and `GetReplicaSetProportion`.
pub(super) fn proportional(deployment: &Deployment, active: &[ReplicaSet]) -> Vec<i32> {
    let total: i32 = active.iter().map(wanted).sum();
    let allowed = if desired(deployment) > 0 {
        desired(deployment) + max_surge(deployment)
    } else {
        0
    };
    let to_add = allowed - total;
    // Largest first; when shrinking, of equal ones the oldest first, else the newest.
    let mut order: Vec<usize> = (0..active.len()).collect();
    order.sort_by(|&a, &b| {
        let (x, y) = (&active[a], &active[b]);
        let age = x.metadata.creation_timestamp.cmp(&y.metadata.creation_timestamp);
        wanted(y)
            .cmp(&wanted(x))
            .then(if to_add > 0 { age.reverse() } else { age })
    });
    let mut sizes: Vec<i32> = active.iter().map(wanted).collect();
    let mut added = 0;
    for &index in &order {
        if to_add != 0 {
            let share = proportion(&active[index], deployment, to_add, added);
            sizes[index] += share;
            added += share;
        }
    }
    // What rounding left over goes to the largest.
    if to_add != 0
        && let Some(&first) = order.first()
    {
        sizes[first] = (sizes[first] + to_add - added).max(0);
    }
    sizes
}

fn proportion(set: &ReplicaSet, deployment: &Deployment, to_add: i32, added: i32) -> i32 {
    if wanted(set) == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let share = fraction(set, deployment);
    let left = to_add - added;
    if to_add > 0 { share.min(left) } else { share.max(left) }
}

/// How much a ReplicaSet changes when the Deployment's full size changes from what its annotation says.
fn fraction(set: &ReplicaSet, deployment: &Deployment) -> i32 {
    if desired(deployment) == 0 {
        return -wanted(set);
    }
    let full = desired(deployment) + max_surge(deployment);
    let before = match super::revision::max_annotation(set) {
        Some(max) if max > 0 => max,
        _ => deployment.status.as_ref().and_then(|s| s.replicas).unwrap_or(0),
    };
    if before == 0 {
        return 0;
    }
    let scaled = f64::from(wanted(set)) * f64::from(full) / f64::from(before);
    // Go's math.Round: half away from zero, as Rust's.
    scaled.round() as i32 - wanted(set)
}

/// Old ReplicaSets beyond the history limit, as indexes; `old` is oldest first. Upstream: `cleanupDeployment`.
pub(super) fn beyond_history(deployment: &Deployment, old: &[ReplicaSet]) -> Vec<usize> {
    let Some(limit) = deployment
        .spec
        .as_ref()
        .and_then(|s| s.revision_history_limit)
        .filter(|l| *l != i32::MAX)
    else {
        return Vec::new();
    };
    let mut alive: Vec<usize> = (0..old.len())
        .filter(|&i| old[i].metadata.deletion_timestamp.is_none())
        .collect();
    let excess = alive.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    alive.sort_by_key(|&i| super::revision::of(&old[i].metadata));
    alive.truncate(excess);
    alive.retain(|&i| {
        let set = &old[i];
        let observed = set.status.as_ref().and_then(|s| s.observed_generation).unwrap_or(0);
        actual(set) == 0 && wanted(set) == 0 && set.metadata.generation.unwrap_or(0) <= observed
    });
    alive
}
