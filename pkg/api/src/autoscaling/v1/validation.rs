//! Validation of autoscaling/v1 (pkg/apis/autoscaling/validation/validation.go), the bounds and target.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;

use crate::check::required;
use crate::meta;

/// A new HorizontalPodAutoscaler (`ValidateHorizontalPodAutoscaler`).
pub fn horizontal_pod_autoscaler_create(obj: &HorizontalPodAutoscaler) -> ErrorList {
    let mut errs = meta::create(&obj.metadata, true, meta::name_subdomain);
    spec(&mut errs, obj);
    errs
}

/// A changed HorizontalPodAutoscaler (`ValidateHorizontalPodAutoscalerUpdate`).
pub fn horizontal_pod_autoscaler_update(new: &HorizontalPodAutoscaler, old: &HorizontalPodAutoscaler) -> ErrorList {
    let mut errs = meta::update(&new.metadata, &old.metadata);
    spec(&mut errs, new);
    errs
}

fn spec(errs: &mut ErrorList, obj: &HorizontalPodAutoscaler) {
    let spec = &obj.spec;
    let path = Path::new("spec");
    let min = spec.min_replicas.unwrap_or(1);
    if min < 1 {
        let rule = "must be greater than or equal to 1";
        errs.push(Error::invalid(&path.child("minReplicas"), min, rule));
    }
    if spec.max_replicas < 1 {
        let rule = "must be greater than 0";
        errs.push(Error::invalid(&path.child("maxReplicas"), spec.max_replicas, rule));
    }
    if spec.max_replicas < min {
        let rule = "must be greater than or equal to `minReplicas`";
        errs.push(Error::invalid(&path.child("maxReplicas"), spec.max_replicas, rule));
    }
    let target = path.child("scaleTargetRef");
    required(errs, &target.child("kind"), &spec.scale_target_ref.kind);
    required(errs, &target.child("name"), &spec.scale_target_ref.name);
}
