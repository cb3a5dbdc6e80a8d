"""Both families of signatures satisfy the verifiers that customers use."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from workos.webhooks._verification import verify_header

from syncline.core.signing import (
    SignatureRefused,
    new_endpoint_secret,
    standard_headers,
    verify_standard,
    verify_workos,
    workos_signature,
)

SECRET = new_endpoint_secret(bytes(range(32)))
OTHER = new_endpoint_secret(bytes(range(1, 33)))
BODY = '{"id":"event_01","event":"dsync.user.created","data":{"name":"Zoë"}}'.encode()
NOW_S = 1_768_478_400
NOW_MS = NOW_S * 1000


def altered(body: bytes) -> bytes:
    return body.replace(b"created", b"deleted")


class TestSecrets:
    def test_a_secret_is_its_prefix_and_base64(self) -> None:
        assert SECRET.startswith("whsec_")
        assert base64.b64decode(SECRET.removeprefix("whsec_")) == bytes(range(32))

    @pytest.mark.parametrize("count", [0, 16, 23, 65])
    def test_too_few_or_too_many_bytes_are_an_error(self, count: int) -> None:
        with pytest.raises(ValueError, match="bytes"):
            new_endpoint_secret(bytes(count))


class TestWorkOS:
    def test_the_header_has_one_space_one_timestamp_and_one_signature(self) -> None:
        header = workos_signature(SECRET, NOW_MS, BODY)
        timestamp, signature = header.split(", ")
        assert timestamp == f"t={NOW_MS}"
        assert signature.startswith("v1=")
        assert len(signature) == 3 + 64

    @pytest.mark.parametrize("secret", [SECRET, "whsec_imported-text.not/base64!", "plain text"])
    def test_the_official_python_verifier_accepts_it(self, secret: str) -> None:
        header = workos_signature(secret, int(time.time() * 1000), BODY)
        verify_header(event_body=BODY, event_signature=header, secret=secret)
        with pytest.raises(ValueError, match="hash"):
            verify_header(event_body=altered(BODY), event_signature=header, secret=secret)

    def test_our_verifier_accepts_it_within_the_tolerance(self) -> None:
        header = workos_signature(SECRET, NOW_MS, BODY)
        for now_ms in (NOW_MS, NOW_MS + 180_000, NOW_MS - 180_000):
            verify_workos(SECRET, header, BODY, now_ms=now_ms)

    @pytest.mark.parametrize("shift", [180_001, -180_001])
    def test_a_timestamp_outside_the_tolerance_is_refused(self, shift: int) -> None:
        header = workos_signature(SECRET, NOW_MS, BODY)
        with pytest.raises(SignatureRefused, match="timestamp"):
            verify_workos(SECRET, header, BODY, now_ms=NOW_MS + shift)

    def test_another_body_secret_or_timestamp_is_refused(self) -> None:
        header = workos_signature(SECRET, NOW_MS, BODY)
        moved = header.replace(str(NOW_MS), str(NOW_MS + 1))
        for secret, given_header, body in (
            (OTHER, header, BODY),
            (SECRET, header, altered(BODY)),
            (SECRET, moved, BODY),
        ):
            with pytest.raises(SignatureRefused, match="signature"):
                verify_workos(secret, given_header, body, now_ms=NOW_MS)

    @given(st.text(max_size=120))
    def test_any_other_header_is_refused(self, header: str) -> None:
        for text in (header, f"t={header}, v1={'0' * 64}", f"t=1, v1={header}"):
            with pytest.raises(SignatureRefused):
                verify_workos(SECRET, text, BODY, now_ms=NOW_MS)


class TestStandardWebhooks:
    def test_the_reference_verifier_accepts_it_with_every_secret_of_an_overlap(self) -> None:
        oldest = new_endpoint_secret(bytes(24))
        headers = standard_headers([SECRET, OTHER, oldest], "event_01", int(time.time()), BODY)
        for secret in (SECRET, OTHER, oldest):
            assert Webhook(secret).verify(BODY, headers)["id"] == "event_01"
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(altered(BODY), headers)

    def test_the_newest_secret_signs_first(self) -> None:
        both = standard_headers([SECRET, OTHER], "event_01", NOW_S, BODY)["webhook-signature"].split(" ")
        alone = standard_headers([SECRET], "event_01", NOW_S, BODY)["webhook-signature"]
        assert both[0] == alone
        assert len(both) == 2

    @pytest.mark.parametrize("count", [0, 4])
    def test_no_secret_or_more_than_three_are_an_error(self, count: int) -> None:
        with pytest.raises(ValueError, match="secrets"):
            standard_headers([SECRET] * count, "event_01", NOW_S, BODY)

    def test_an_imported_secret_that_is_no_base64_still_signs(self) -> None:
        secret = "whsec_imported-text.not/base64!"
        headers = standard_headers([secret], "event_01", NOW_S, BODY)
        verify_standard([secret], headers, BODY, now_s=NOW_S)

    def test_a_secret_without_padding_means_the_same_bytes(self) -> None:
        headers = standard_headers([SECRET.rstrip("=")], "event_01", NOW_S, BODY)
        verify_standard([SECRET], headers, BODY, now_s=NOW_S)

    def test_our_verifier_reads_headers_in_any_case_and_passes_over_unknown_versions(self) -> None:
        headers = {
            name.title(): value for name, value in standard_headers([SECRET], "m", NOW_S, BODY).items()
        }
        headers["Webhook-Signature"] = "v1a,abc v1,ä v2 " + headers["Webhook-Signature"]
        verify_standard([OTHER, SECRET], headers, BODY, now_s=NOW_S + 300)

    @pytest.mark.parametrize(
        ("header", "value"),
        [
            ("webhook-id", "other"),
            ("webhook-id", ""),
            ("webhook-timestamp", str(NOW_S + 1)),
            ("webhook-timestamp", "x"),
            ("webhook-timestamp", str(NOW_S - 301)),
            ("webhook-timestamp", "9" * 5000),
            ("webhook-signature", ""),
            ("webhook-signature", "v1,"),
            ("webhook-signature", "v1"),
            ("webhook-signature", "v1,AAAA"),
        ],
    )
    def test_any_change_of_a_header_is_refused(self, header: str, value: str) -> None:
        headers = {**standard_headers([SECRET], "event_01", NOW_S, BODY), header: value}
        with pytest.raises(SignatureRefused):
            verify_standard([SECRET], headers, BODY, now_s=NOW_S)

    def test_another_body_or_secret_is_refused(self) -> None:
        headers = standard_headers([SECRET], "event_01", NOW_S, BODY)
        for secrets, body in (([OTHER], BODY), ([SECRET], altered(BODY)), ([], BODY)):
            with pytest.raises(SignatureRefused):
                verify_standard(secrets, headers, body, now_s=NOW_S)

    @given(
        st.dictionaries(
            st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text(max_size=60)
        )
    )
    def test_any_headers_are_refused_without_an_accident(self, headers: dict[str, str]) -> None:
        with pytest.raises(SignatureRefused):
            verify_standard([SECRET], headers, BODY, now_s=NOW_S)
