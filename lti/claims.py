"""Names of LTI claims and role URIs (1EdTech LTI Core 1.3 §5.3, LTI Core 1.3 appendix A). Nothing else."""

from typing import Final

_LTI: Final = "https://purl.imsglobal.org/spec/lti/claim/"
MESSAGE_TYPE: Final = _LTI + "message_type"
VERSION: Final = _LTI + "version"
DEPLOYMENT_ID: Final = _LTI + "deployment_id"
TARGET_LINK_URI: Final = _LTI + "target_link_uri"
ROLES: Final = _LTI + "roles"
CONTEXT: Final = _LTI + "context"
RESOURCE_LINK: Final = _LTI + "resource_link"
PRESENTATION: Final = _LTI + "launch_presentation"
NRPS: Final = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
SAKAI: Final = "https://www.sakailms.org/spec/lti/claim/extension"

MEMBERSHIP: Final = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
MEMBERSHIP_SUB: Final = "http://purl.imsglobal.org/vocab/lis/v2/membership/"
INSTITUTION: Final = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"
SYSTEM: Final = "http://purl.imsglobal.org/vocab/lis/v2/system/person#"
