/// The ARN of a method that does not have the form of one.
#[derive(Debug, thiserror::Error)]
#[error("not the ARN of a method: {0:?}")]
pub struct MalformedArn(String);

/// A stage of an API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stage<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
    api: &'a str,
    name: &'a str,
}

impl<'a> Stage<'a> {
    /// The stage that a method belongs to: `arn:<partition>:execute-api:<region>:<account>:<api>/<stage>/<METHOD>/<path>`.
    pub(crate) fn of(method_arn: &'a str) -> Result<Self, MalformedArn> {
        Self::parse(method_arn).ok_or_else(|| MalformedArn(method_arn.to_owned()))
    }

    fn parse(arn: &'a str) -> Option<Self> {
        // The path may hold anything, colons too.
        let mut fields = arn.splitn(6, ':');
        let (scheme, partition, service) = (fields.next()?, fields.next()?, fields.next()?);
        let (region, account, method) = (fields.next()?, fields.next()?, fields.next()?);
        let mut parts = method.splitn(4, '/');
        let (api, name, verb, _path) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_method = scheme == "arn" && partition.starts_with("aws") && service == "execute-api";
        // A wildcard among them would let the caller into other APIs.
        let are_words = [partition, region, account, api, name, verb].into_iter().all(is_word);
        (is_method && are_words).then_some(Self { partition, region, account, api, name })
    }

    /// The ARN of all methods on all paths of the stage.
    pub(crate) fn all_methods(&self) -> String {
        let Self { partition, region, account, api, name } = self;
        format!("arn:{partition}:execute-api:{region}:{account}:{api}/{name}/*/*")
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_all_of_its_methods_in_every_partition() {
        for (arn, all) in [
            (
                "arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/GET/documents/01J9/chunks",
                "arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/*/*",
            ),
            (
                "arn:aws-cn:execute-api:cn-north-1:123456789012:abcde12345/prod_2/POST/search",
                "arn:aws-cn:execute-api:cn-north-1:123456789012:abcde12345/prod_2/*/*",
            ),
            (
                "arn:aws-us-gov:execute-api:us-gov-west-1:123456789012:abcde12345/test-invoke-stage/DELETE/",
                "arn:aws-us-gov:execute-api:us-gov-west-1:123456789012:abcde12345/test-invoke-stage/*/*",
            ),
            (
                "arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/GET/a:b/*/é",
                "arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/*/*",
            ),
        ] {
            assert_eq!(Stage::of(arn).unwrap().all_methods(), all);
        }
    }

    #[test]
    fn what_is_no_method_has_no_stage() {
        for malformed in [
            "",
            "arn",
            "arn:aws:execute-api:us-east-1:123456789012",
            "arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1",
            "arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/GET",
            "arn:aws:execute-api:us-east-1:123456789012:/v1/GET/",
            "arn:aws:execute-api:us-east-1:123456789012:abcde12345//GET/",
            "arn:aws:execute-api:us-east-1::abcde12345/v1/GET/",
            "arn:aws:execute-api:us-east-1:123456789012:*/v1/GET/",
            "arn:aws:execute-api:us-east-1:123456789012:abcde12345/*/GET/",
            "arn:aws:execute-api:*:123456789012:abcde12345/v1/GET/",
            "arn:aws:execute-api:us-east-1:${aws:PrincipalAccount}:abcde12345/v1/GET/",
            "arn:aws:lambda:us-east-1:123456789012:abcde12345/v1/GET/",
            "arn:gcp:execute-api:us-east-1:123456789012:abcde12345/v1/GET/",
            "urn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/GET/",
        ] {
            assert!(Stage::of(malformed).is_err(), "{malformed}");
        }
    }
}
