//! Carries a Deployment's plan out. Each write changes our copy too, so that the status at the end tells what is.
//!
//! Upstream: pkg/controller/deployment/{sync,rolling,recreate}.go.

use client::controller::Outcome;
use client::events::{Recorder, reference};
use client::informer::Reader;
use client::params::delete_background;
use client::{Api, Error};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use rules::owners::is_controlled_by;
use rules::pods::is_pod_terminal;

use super::status::{self, Conditions, PROGRESSING};
use super::{plan, revision};
use crate::controllers::replicas::BY_CONTROLLER;

/// One reconcile of one Deployment.
pub(super) struct Rollout<'a> {
    pub(super) deployment: Deployment,
    /// Its ReplicaSets, oldest first.
    pub(super) sets: Vec<ReplicaSet>,
    pub(super) deployments_api: Api<Deployment>,
    pub(super) sets_api: Api<ReplicaSet>,
    pub(super) recorder: &'a Recorder,
    pub(super) pods: &'a Reader<Pod>,
}

impl Rollout<'_> {
    pub(super) async fn sync(&mut self) -> anyhow::Result<Outcome> {
        if self.deployment.metadata.deletion_timestamp.is_some() {
            let new = self.new_index();
            let next = status::compute(
                &self.deployment,
                &self.sets,
                new.map(|i| &self.sets[i]),
                Timestamp::now(),
            );
            self.write_status(next).await?;
            return Ok(Outcome::Done);
        }
        self.note_pause().await?;
        if plan::is_paused(&self.deployment) || self.is_scaling() {
            return self.scale_only().await;
        }
        if plan::is_recreate(&self.deployment) {
            self.recreate().await
        } else {
            self.roll().await
        }
    }

    /// Paused, or scaled in the middle of something: sizes only. Upstream: `sync`.
    async fn scale_only(&mut self) -> anyhow::Result<Outcome> {
        let new = self.ensure_new_set(false).await?;
        self.scale(new).await?;
        if plan::is_paused(&self.deployment) {
            self.clean_up(new).await?;
        }
        let next = status::compute(
            &self.deployment,
            &self.sets,
            new.map(|i| &self.sets[i]),
            Timestamp::now(),
        );
        self.write_status(next).await?;
        Ok(Outcome::Done)
    }

    /// Upstream: `rolloutRolling`.
    async fn roll(&mut self) -> anyhow::Result<Outcome> {
        let new = self.ensure_new_set(true).await?;
        let Some(index) = new else { return Ok(Outcome::Done) };
        let desired = plan::desired(&self.deployment);
        let have = plan::wanted(&self.sets[index]);
        let total = self.sets.iter().map(plan::wanted).sum();
        let size = if have > desired {
            desired
        } else {
            plan::new_set_replicas(&self.deployment, total, have)
        };
        if size != have && self.resize(index, size).await? {
            return self.finish(new).await;
        }
        let (old, positions) = self.old_sets(new);
        let shrink = plan::shrink_old(&self.deployment, &old, &self.sets[index]);
        let mut shrunk = false;
        for (position, size) in shrink {
            shrunk |= self.resize(positions[position], size).await?;
        }
        if shrunk {
            return self.finish(new).await;
        }
        self.clean_up_when_complete(new).await?;
        self.finish(new).await
    }

    /// Upstream: `rolloutRecreate`.
    async fn recreate(&mut self) -> anyhow::Result<Outcome> {
        let new = self.ensure_new_set(false).await?;
        let (_, positions) = self.old_sets(new);
        let mut shrunk = false;
        for index in positions {
            if plan::wanted(&self.sets[index]) > 0 {
                shrunk |= self.resize(index, 0).await?;
            }
        }
        if shrunk || self.old_pods_run(new) {
            return self.finish(new).await;
        }
        let new = self.ensure_new_set(true).await?;
        if let Some(index) = new {
            let desired = plan::desired(&self.deployment);
            if plan::wanted(&self.sets[index]) != desired {
                self.resize(index, desired).await?;
            }
        }
        self.clean_up_when_complete(new).await?;
        self.finish(new).await
    }

    fn new_index(&self) -> Option<usize> {
        revision::find_new(&self.deployment, &self.sets)
    }

    /// The ReplicaSets that are not the new one, and where they are in `sets`.
    fn old_sets(&self, new: Option<usize>) -> (Vec<ReplicaSet>, Vec<usize>) {
        let positions: Vec<usize> = (0..self.sets.len()).filter(|i| Some(*i) != new).collect();
        (positions.iter().map(|&i| self.sets[i].clone()).collect(), positions)
    }

    /// Some pod of another template is not finished. Upstream: `oldPodsRunning`.
    fn old_pods_run(&self, new: Option<usize>) -> bool {
        let (old, positions) = self.old_sets(new);
        if old.iter().map(plan::actual).sum::<i32>() > 0 {
            return true;
        }
        positions.iter().any(|&i| {
            let uid = self.sets[i].metadata.uid.as_deref().unwrap_or_default();
            self.pods
                .by_index(BY_CONTROLLER, uid)
                .iter()
                .any(|pod| !is_pod_terminal(pod))
        })
    }

    /// The Deployment's size was changed since a ReplicaSet was last scaled. Upstream: `isScalingEvent`.
    fn is_scaling(&self) -> bool {
        let desired = plan::desired(&self.deployment);
        self.sets
            .iter()
            .filter(|s| plan::wanted(s) > 0)
            .any(|s| revision::desired_annotation(s).is_some_and(|noted| noted != desired))
    }

    /// Finds or makes the ReplicaSet of the current template and gives it the next revision.
    /// Upstream: `getAllReplicaSetsAndSyncRevision`, `getNewReplicaSet`.
    async fn ensure_new_set(&mut self, create: bool) -> anyhow::Result<Option<usize>> {
        let found = self.new_index();
        let (old, _) = self.old_sets(found);
        let number = old.iter().map(|s| revision::of(&s.metadata)).max().unwrap_or(0) + 1;
        let now = Timestamp::now();
        if let Some(index) = found {
            let (mut next, mut changed) = revision::annotate(&self.deployment, &self.sets[index], number, true);
            let min_ready = self.deployment.spec.as_ref().and_then(|s| s.min_ready_seconds);
            let spec = next.spec.get_or_insert_default();
            if spec.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0) {
                spec.min_ready_seconds = min_ready;
                changed = true;
            }
            if changed {
                self.sets[index] = self.sets_api.update(&next).await?;
            }
            let name = self.sets[index].metadata.name.clone().unwrap_or_default();
            let of_set = revision::of(&self.sets[index].metadata);
            let revised = self.note_revision(of_set);
            let known = status::condition(&self.deployment, PROGRESSING).is_some();
            let mut next = self.deployment.status.clone().unwrap_or_default();
            let noted = status::has_deadline(&self.deployment) && !known;
            if noted {
                let mut list = next.conditions.take().unwrap_or_default();
                let message = format!("Found new replica set \"{name}\"");
                Conditions { list: &mut list, now }.set(PROGRESSING, "True", status::FOUND_NEW_SET, &message);
                next.conditions = Some(list);
            }
            if revised || noted {
                self.deployment.status = Some(next);
                self.deployment = self.deployments_api.update_status(&self.deployment).await?;
            }
            return Ok(Some(index));
        }
        if !create {
            return Ok(None);
        }
        self.create_set(number, now).await
    }

    /// Puts the revision on our copy of the Deployment. Upstream: `SetDeploymentRevision`.
    fn note_revision(&mut self, number: i64) -> bool {
        let annotations = self.deployment.metadata.annotations.get_or_insert_default();
        let text = number.to_string();
        if annotations.get(revision::REVISION) == Some(&text) {
            return false;
        }
        annotations.insert(revision::REVISION.to_owned(), text);
        true
    }

    async fn create_set(&mut self, number: i64, now: Timestamp) -> anyhow::Result<Option<usize>> {
        let total = self.sets.iter().map(plan::wanted).sum();
        let wanted = revision::new_set(&self.deployment, number, total);
        let name = wanted.metadata.name.clone().unwrap_or_default();
        let replicas = plan::wanted(&wanted);
        let (created, ours) = match self.sets_api.create(&wanted).await {
            Ok(set) => (set, true),
            Err(error) if error.is_already_exists() => (self.resolve_collision(&name, error).await?, false),
            Err(error) if error.is_namespace_terminating() => return Ok(None),
            Err(error) => return Err(self.creation_failed(&name, error, now).await),
        };
        if ours && replicas > 0 {
            let message = format!("Scaled up replica set {name} from 0 to {replicas}");
            self.recorder
                .normal(&reference(&self.deployment), "ScalingReplicaSet", message);
        }
        let revised = self.note_revision(revision::of(&created.metadata));
        let mut noted = false;
        if ours && status::has_deadline(&self.deployment) {
            let mut list = self
                .deployment
                .status
                .clone()
                .unwrap_or_default()
                .conditions
                .unwrap_or_default();
            let message = format!("Created new replica set \"{name}\"");
            Conditions { list: &mut list, now }.set(PROGRESSING, "True", status::NEW_SET_CREATED, &message);
            self.deployment.status.get_or_insert_default().conditions = Some(list);
            noted = true;
        }
        if revised || noted {
            self.deployment = self.deployments_api.update_status(&self.deployment).await?;
        }
        self.sets.push(created);
        Ok(Some(self.sets.len() - 1))
    }

    /// A ReplicaSet of that name exists: ours from a write we have not seen yet, or another template's of the same
    /// hash; then the collision count changes the hash.
    async fn resolve_collision(&mut self, name: &str, error: Error) -> anyhow::Result<ReplicaSet> {
        let existing = self.sets_api.get(name).await?;
        let uid = self.deployment.metadata.uid.as_deref().unwrap_or_default();
        let template = self
            .deployment
            .spec
            .as_ref()
            .map(|s| s.template.clone())
            .unwrap_or_default();
        let same = existing
            .spec
            .as_ref()
            .and_then(|s| s.template.as_ref())
            .is_some_and(|t| revision::same_template(t, &template));
        if same && is_controlled_by(&existing.metadata, uid) {
            return Ok(existing);
        }
        let count = self
            .deployment
            .status
            .get_or_insert_default()
            .collision_count
            .get_or_insert(0);
        *count += 1;
        tracing::info!(deployment = ?self.deployment.metadata.name, replicaset = name, "template hash collision");
        self.deployment = self.deployments_api.update_status(&self.deployment).await?;
        Err(error.into())
    }

    async fn creation_failed(&mut self, name: &str, error: Error, now: Timestamp) -> anyhow::Error {
        let message = format!("Failed to create new replica set \"{name}\": {error}");
        self.recorder
            .warning(&reference(&self.deployment), status::FAILED_CREATE, message.clone());
        if status::has_deadline(&self.deployment) {
            let mut list = self
                .deployment
                .status
                .clone()
                .unwrap_or_default()
                .conditions
                .unwrap_or_default();
            Conditions { list: &mut list, now }.set(PROGRESSING, "False", status::FAILED_CREATE, &message);
            self.deployment.status.get_or_insert_default().conditions = Some(list);
            // The creation's error is the one to tell.
            let _ = self.deployments_api.update_status(&self.deployment).await;
        }
        error.into()
    }

    /// Gives a ReplicaSet a size; true when that was a change of size. Upstream: `scaleReplicaSet`.
    async fn resize(&mut self, index: usize, size: i32) -> anyhow::Result<bool> {
        let before = plan::wanted(&self.sets[index]);
        let Some(next) = revision::at_size(&self.deployment, &self.sets[index], size) else {
            return Ok(false);
        };
        self.sets[index] = self.sets_api.update(&next).await?;
        if before == size {
            return Ok(false);
        }
        let verb = if size > before { "up" } else { "down" };
        let name = next.metadata.name.unwrap_or_default();
        let message = format!("Scaled {verb} replica set {name} from {before} to {size}");
        self.recorder
            .normal(&reference(&self.deployment), "ScalingReplicaSet", message);
        Ok(true)
    }

    /// Upstream: `scale`.
    async fn scale(&mut self, new: Option<usize>) -> anyhow::Result<()> {
        let active: Vec<usize> = (0..self.sets.len())
            .filter(|&i| plan::wanted(&self.sets[i]) > 0)
            .collect();
        // Upstream: `FindActiveOrLatest`.
        let single = match active.as_slice() {
            [] => new.or_else(|| self.sets.len().checked_sub(1)),
            [one] => Some(*one),
            _ => None,
        };
        if let Some(index) = single {
            self.resize(index, plan::desired(&self.deployment)).await?;
            return Ok(());
        }
        if plan::is_saturated(&self.deployment, new.map(|i| &self.sets[i])) {
            for index in active.into_iter().filter(|i| Some(*i) != new) {
                self.resize(index, 0).await?;
            }
            return Ok(());
        }
        if !plan::is_recreate(&self.deployment) {
            let sets: Vec<ReplicaSet> = active.iter().map(|&i| self.sets[i].clone()).collect();
            let sizes = plan::proportional(&self.deployment, &sets);
            for (&index, size) in active.iter().zip(sizes) {
                self.resize(index, size).await?;
            }
        }
        Ok(())
    }

    /// Pausing and resuming stop and start the progress clock. Upstream: `checkPausedConditions`.
    async fn note_pause(&mut self) -> anyhow::Result<()> {
        if !status::has_deadline(&self.deployment) {
            return Ok(());
        }
        let reason = status::condition(&self.deployment, PROGRESSING).and_then(|c| c.reason.clone());
        if reason.as_deref() == Some(status::TIMED_OUT) {
            return Ok(());
        }
        let noted = reason.as_deref() == Some(status::PAUSED);
        let paused = plan::is_paused(&self.deployment);
        if paused == noted {
            return Ok(());
        }
        let mut list = self
            .deployment
            .status
            .clone()
            .unwrap_or_default()
            .conditions
            .unwrap_or_default();
        let mut conditions = Conditions {
            list: &mut list,
            now: Timestamp::now(),
        };
        if paused {
            conditions.set(PROGRESSING, "Unknown", status::PAUSED, "Deployment is paused");
        } else {
            conditions.set(PROGRESSING, "Unknown", status::RESUMED, "Deployment is resumed");
        }
        self.deployment.status.get_or_insert_default().conditions = Some(list);
        self.deployment = self.deployments_api.update_status(&self.deployment).await?;
        Ok(())
    }

    async fn clean_up_when_complete(&mut self, new: Option<usize>) -> anyhow::Result<()> {
        let complete = self
            .deployment
            .status
            .as_ref()
            .is_some_and(|s| status::is_complete(&self.deployment, s));
        if complete { self.clean_up(new).await } else { Ok(()) }
    }

    async fn clean_up(&mut self, new: Option<usize>) -> anyhow::Result<()> {
        let (old, _) = self.old_sets(new);
        for index in plan::beyond_history(&self.deployment, &old) {
            let meta = &old[index].metadata;
            let options = delete_background(meta.uid.as_deref().unwrap_or_default());
            match self
                .sets_api
                .delete(meta.name.as_deref().unwrap_or_default(), &options)
                .await
            {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the status of the rollout and says when to look again.
    async fn finish(&mut self, new: Option<usize>) -> anyhow::Result<Outcome> {
        let now = Timestamp::now();
        let next = status::rollout(&self.deployment, &self.sets, new.map(|i| &self.sets[i]), now);
        self.write_status(next.clone()).await?;
        let check = status::next_check(&self.deployment, &next, now);
        Ok(check.map_or(Outcome::Done, Outcome::After))
    }

    async fn write_status(&mut self, next: DeploymentStatus) -> anyhow::Result<()> {
        if self.deployment.status.as_ref() == Some(&next) {
            return Ok(());
        }
        self.deployment.status = Some(next);
        match self.deployments_api.update_status(&self.deployment).await {
            Ok(stored) => {
                self.deployment = stored;
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
