//! The `authorizer` function.

use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest as Request;
use shared::clients::{Builder, Clients};
use shared::config::DoorConfig;
use shared::tenants::Tenants;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let dynamodb = builder.dynamodb()?;
    let authenticator = builder.authenticator(&dynamodb)?;
    tokio::join!(Clients { dynamodb: Some(&dynamodb), ..Clients::default() }.warm(), authenticator.warm());
    let state = authorizer::State {
        authenticator,
        tenants: Tenants::new(&dynamodb),
        plans: DoorConfig::from_variables(builder.variables())?.plans,
        usage_keys: authorizer::UsageKeys::from_variables(builder.variables())?,
    };
    let work = async |event: Request| authorizer::handle(&state, &event).await.map_err(lambda_runtime::Error::from);
    http::run_worker(telemetry, work).await
}
