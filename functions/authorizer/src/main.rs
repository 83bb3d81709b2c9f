//! The `authorizer` function.

use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest as Request;
use lambda_runtime::{LambdaEvent, service_fn};
use shared::clients::{Builder, Clients};
use shared::config::DoorConfig;
use shared::tenants::Tenants;
use shared::{metrics, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let dynamodb = builder.dynamodb()?;
    let authenticator = builder.authenticator(&dynamodb)?;
    tokio::join!(Clients { dynamodb: Some(&dynamodb), ..Clients::default() }.warm(), authenticator.warm());
    let state = authorizer::State {
        authenticator,
        tenants: Tenants::new(&dynamodb),
        plans: DoorConfig::from_variables(builder.variables())?.plans,
        usage_keys: authorizer::UsageKeys::from_variables(builder.variables())?,
    };
    let work = async |event: LambdaEvent<Request>| {
        let answer = authorizer::handle(&state, &event.payload).await;
        metrics::flush();
        answer.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(work)).await
}
