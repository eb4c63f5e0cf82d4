"""The policy pack: `pulumi preview --policy-pack PATH-OF-THIS-FOLDER`. The rules are in `muslin.pulumi.policies`."""

from muslin.pulumi.analyzer import serve

serve()
