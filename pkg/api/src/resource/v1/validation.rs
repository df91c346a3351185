//! Validation of resource.k8s.io/v1 (pkg/apis/resource/validation/validation.go).
