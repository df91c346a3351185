//! Service writes with allocation around them: reserve, write, and give back when the write fails.

use std::sync::Arc;

use apimachinery::field::{Error, Path};
use apimachinery::gvk::GroupKind;
use apimachinery::meta;
use apimachinery::status::{ApiError, Result};
use serde_json::{Value, json};

use super::{Allocators, cluster_ips, families, node_ports};
use crate::objects::{items, text};
use crate::registry::{ChangeFn, Entry, Hooks, Store};
use crate::request::RequestContext;

/// What one write has reserved.
#[derive(Debug, Default)]
struct Reserved {
    ips: Vec<String>,
    ports: Vec<u16>,
}

fn invalid(service: &Value, e: Error) -> ApiError {
    ApiError::invalid(&GroupKind::new("", "Service"), meta::name(service), vec![e])
}

impl Allocators {
    /// Creates a Service.
    pub(crate) async fn create(
        &self,
        store: &Store,
        ctx: &RequestContext,
        ns: &str,
        mut service: Value,
        hooks: &dyn Hooks,
    ) -> Result<Arc<Entry>> {
        if ctx.dry_run || meta::name(&service).is_empty() && meta::generate_name(&service).is_empty() {
            families::fill(&mut service, &self.ips.families());
            return store.create(ctx, ns, service, hooks).await;
        }
        if meta::name(&service).is_empty() {
            let name = apimachinery::names::generate_name(meta::generate_name(&service));
            meta::set_name(&mut service, &name);
        }
        // What exists must answer AlreadyExists, not "address in use".
        if store.get(ns, meta::name(&service)).await.is_ok() {
            return Err(ApiError::already_exists(store.group_resource(), meta::name(&service)));
        }
        let reserved = self.reserve(ns, &mut service, &[], &[]).await?;
        let created = store.create(ctx, ns, service, hooks).await;
        if created.is_err() {
            self.give_back(&reserved).await;
        }
        created
    }

    /// Updates a Service: what it keeps stays reserved, what it drops is freed after the write.
    pub(crate) async fn update(
        &self,
        store: &Store,
        ctx: &RequestContext,
        ns: &str,
        name: &str,
        change: ChangeFn<'_>,
        hooks: &dyn Hooks,
    ) -> Result<(Arc<Entry>, bool)> {
        let old = store.get(ns, name).await?;
        let mut new = change(&old.value)?;
        carry_over(&mut new, &old.value);
        let (held_ips, held_ports) = (cluster_ips(&old.value), node_ports(&old.value));
        if ctx.dry_run {
            return store.update(ctx, ns, name, store.strategy, &move |_| Ok(new.clone()), hooks).await;
        }
        let reserved = self.reserve(ns, &mut new, &held_ips, &held_ports).await?;
        let (ips, ports) = (cluster_ips(&new), node_ports(&new));
        let version = meta::resource_version(&old.value).to_owned();
        let guard = |now: &Value| {
            // Allocations were decided on `old`: another writer in between starts over as a conflict.
            if meta::resource_version(now) != version {
                return Err(ApiError::conflict(
                    store.group_resource(),
                    name,
                    "the object has been modified; please apply your changes to the latest version and try again",
                ));
            }
            Ok(new.clone())
        };
        let updated = store.update(ctx, ns, name, store.strategy, &guard, hooks).await;
        match &updated {
            Err(_) => self.give_back(&reserved).await,
            Ok(_) => {
                let gone: Vec<String> = held_ips.into_iter().filter(|ip| !ips.contains(ip)).collect();
                let free: Vec<u16> = held_ports.into_iter().filter(|p| !ports.contains(p)).collect();
                self.ips.release(&gone).await;
                self.ports.release(&free).await;
            }
        }
        updated
    }

    async fn give_back(&self, reserved: &Reserved) {
        self.ips.release(&reserved.ips).await;
        self.ports.release(&reserved.ports).await;
    }

    /// Reserves what the Service needs beyond what it holds, and writes it into the spec.
    async fn reserve(&self, ns: &str, service: &mut Value, held_ips: &[String], held_ports: &[u16]) -> Result<Reserved> {
        families::fill(service, &self.ips.families());
        let mut reserved = Reserved::default();
        if let Err(e) = self.reserve_ips(ns, service, held_ips, &mut reserved).await {
            self.give_back(&reserved).await;
            return Err(e);
        }
        if let Err(e) = self.reserve_ports(service, held_ports, &mut reserved).await {
            self.give_back(&reserved).await;
            return Err(e);
        }
        Ok(reserved)
    }

    async fn reserve_ips(&self, ns: &str, service: &mut Value, held: &[String], reserved: &mut Reserved) -> Result<()> {
        if text(service, "/spec/type") == "ExternalName" || text(service, "/spec/clusterIP") == "None" {
            if text(service, "/spec/clusterIP") == "None" {
                service["spec"]["clusterIPs"] = json!(["None"]);
            }
            return Ok(());
        }
        if service.pointer("/spec/clusterIPs/0").and_then(Value::as_str) == Some("None") {
            service["spec"]["clusterIP"] = "None".into();
            return Ok(());
        }
        let name = meta::name(service).to_owned();
        let path = Path::new("spec").child("clusterIPs");
        let wanted = cluster_ips(service);
        let mut all = vec![];
        let want_families: Vec<String> =
            items(service, "/spec/ipFamilies").iter().filter_map(|f| f.as_str().map(str::to_owned)).collect();
        for (i, family) in want_families.iter().enumerate() {
            match wanted.get(i) {
                Some(ip) if held.contains(ip) => all.push(ip.clone()),
                Some(ip) => {
                    self.ips.take(ip, ns, &name).await.map_err(|why| {
                        invalid(service, Error::invalid(&path, json!(wanted), why))
                    })?;
                    reserved.ips.push(ip.clone());
                    all.push(ip.clone());
                }
                None => {
                    let ip = self.ips.any(family, ns, &name).await.map_err(ApiError::internal)?;
                    reserved.ips.push(ip.clone());
                    all.push(ip);
                }
            }
        }
        if let Some(first) = all.first() {
            service["spec"]["clusterIP"] = first.clone().into();
            service["spec"]["clusterIPs"] = json!(all);
        }
        Ok(())
    }

    async fn reserve_ports(&self, service: &mut Value, held: &[u16], reserved: &mut Reserved) -> Result<()> {
        let kind = text(service, "/spec/type").to_owned();
        let allocates = match kind.as_str() {
            "NodePort" => true,
            "LoadBalancer" => service.pointer("/spec/allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)),
            _ => false,
        };
        let health = kind == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local";
        let need_health = health && service.pointer("/spec/healthCheckNodePort").and_then(Value::as_u64).unwrap_or(0) == 0;
        let wanted: Vec<u16> = node_ports(service).into_iter().filter(|p| !held.contains(p)).collect();
        // The same number under two protocols is one port.
        let missing: Vec<usize> = items(service, "/spec/ports")
            .iter()
            .enumerate()
            .filter(|(_, p)| allocates && p.get("nodePort").and_then(Value::as_u64).unwrap_or(0) == 0)
            .map(|(i, _)| i)
            .collect();
        let any = missing.len() + usize::from(need_health);
        let mut got = self.ports.take(&wanted, any).await.map_err(|e| {
            let at = items(service, "/spec/ports").iter().position(|p| p["nodePort"].as_u64() == Some(u64::from(e.port)));
            let path = Path::new("spec").child("ports").index(at.unwrap_or(0)).child("nodePort");
            if e.port > 0 { invalid(service, Error::invalid(&path, i64::from(e.port), e.why)) } else { ApiError::internal(format!("failed to allocate a nodePort: {}", e.why)) }
        })?;
        reserved.ports.extend(wanted);
        reserved.ports.extend(&got);
        if need_health && let Some(port) = got.pop() {
            service["spec"]["healthCheckNodePort"] = json!(port);
        }
        for (i, port) in missing.into_iter().zip(got) {
            service["spec"]["ports"][i]["nodePort"] = json!(port);
        }
        Ok(())
    }
}

/// What an update leaves out and the Service had is kept (upstream `patchAllocatedValues`).
fn carry_over(new: &mut Value, old: &Value) {
    let (old_type, new_type) = (text(old, "/spec/type").to_owned(), text(new, "/spec/type").to_owned());
    if new_type == "ExternalName" {
        if old_type != "ExternalName"
            && let Some(spec) = new["spec"].as_object_mut()
        {
            // Unless the client asked for other values, the addresses go with the type.
            if spec.get("clusterIP") == old.pointer("/spec/clusterIP") {
                for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                    spec.remove(field);
                }
            }
        }
        return;
    }
    if old_type != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let missing = match new["spec"].get(field) {
                None | Some(Value::Null) => true,
                Some(Value::String(s)) => s.is_empty(),
                Some(Value::Array(a)) => a.is_empty(),
                _ => false,
            };
            if missing && let Some(v) = old["spec"].get(field) {
                new["spec"][field] = v.clone();
            }
        }
    }
    let has_ports = |t: &str| matches!(t, "NodePort" | "LoadBalancer");
    if has_ports(&new_type) && has_ports(&old_type) {
        let old_ports = items(old, "/spec/ports").to_vec();
        let used: Vec<u64> = items(new, "/spec/ports").iter().filter_map(|p| p["nodePort"].as_u64()).filter(|p| *p > 0).collect();
        if let Some(ports) = new["spec"]["ports"].as_array_mut() {
            for p in ports.iter_mut().filter(|p| p["nodePort"].as_u64().unwrap_or(0) == 0) {
                let same = old_ports.iter().find(|o| o["port"] == p["port"] && o["protocol"] == p["protocol"]);
                if let Some(n) = same.and_then(|o| o["nodePort"].as_u64()).filter(|n| *n > 0 && !used.contains(n)) {
                    p["nodePort"] = json!(n);
                }
            }
        }
        let health = old.pointer("/spec/healthCheckNodePort").filter(|_| new["spec"]["externalTrafficPolicy"] == "Local");
        if let Some(v) = health.cloned()
            && new["spec"].get("healthCheckNodePort").and_then(Value::as_u64).unwrap_or(0) == 0
        {
            new["spec"]["healthCheckNodePort"] = v;
        }
    } else if !has_ports(&new_type) && has_ports(&old_type) {
        // A type without node ports drops those it had.
        let held: Vec<u64> = node_ports(old).into_iter().map(u64::from).collect();
        if let Some(ports) = new["spec"]["ports"].as_array_mut() {
            for p in ports.iter_mut() {
                if p["nodePort"].as_u64().is_some_and(|n| held.contains(&n))
                    && let Some(map) = p.as_object_mut()
                {
                    map.remove("nodePort");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_keep_what_they_leave_out() {
        let old = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.5", "clusterIPs": ["10.0.0.5"], "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}});
        let mut new = json!({"spec": {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}});
        carry_over(&mut new, &old);
        assert_eq!(new["spec"]["clusterIP"], "10.0.0.5");
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30080);
        let mut new = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}});
        carry_over(&mut new, &old);
        assert_eq!(new["spec"]["ports"][0].get("nodePort"), None);
    }
}
