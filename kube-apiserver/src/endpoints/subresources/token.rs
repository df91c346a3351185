//! `serviceaccounts/token`: a bound token for a service account.

use apimachinery::status::Result;
use axum::body::Body;
use http::{Response, StatusCode};

use super::super::admit::Admit;
use super::super::{Call, negotiate, respond};
use crate::admission::Operation;
use crate::registry::Hooks as _;

pub(super) async fn serve(call: Call) -> Result<Response<Body>> {
    let out = negotiate::Output {
        view: Default::default(),
        ..call.output()?
    };
    let mut request = super::read(&call).await?;
    let admit = Admit::new(&call.api, &call.ctx, Operation::Create);
    admit.admit(&mut request, None).await?;
    admit.validate(Some(&request), None).await?;
    let info = &call.ctx.info;
    let answer = call
        .api
        .tokens
        .create(&call.ctx, &info.namespace, &info.name, request)
        .await?;
    respond::value(StatusCode::CREATED, &out, &answer)
}
