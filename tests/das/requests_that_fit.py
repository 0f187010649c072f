"""Schemathesis makes each part of a valid request by itself; some are valid only together, which no schema can say."""

from datetime import datetime, timedelta, timezone
from urllib.parse import unquote

import schemathesis
from schemathesis import GenerationMode


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if case.operation.label.startswith("PUT "):
        for name in ("source", "source_id"):
            case.body[name] = unquote(case.path_parameters[name])
        # An offset can move an instant out of the years that can be written.
        for name in ("started_at", "ended_at"):
            if instant(case.body.get(name)) is None:
                case.body[name] = "2026-10-01T08:00:04Z"
    elif case.operation.label == "GET /v1/contacts":
        query = case.query
        begin, end = instant(query["from"]), instant(query["to"])
        if begin is None or end is None or begin > end:
            query["to"] = query["from"]
        # A cursor is one that the service gave out.
        query.pop("cursor", None)
    elif case.operation.label == "POST /v1/recoveries":
        # A key is used for one request.
        case.headers.pop("Idempotency-Key", None)
        if isinstance(case.body, dict):
            case.body.update(one_kind(case.body))
            for name in [name for name in ("from", "to", "last", "meetings") if case.body.get(name) is None]:
                case.body.pop(name, None)
        else:
            case.body = "meeting_uuid\n/aB3dE//gHiJkL4mNoPqRg==\n"
    elif case.operation.label.startswith("GET /v1/recoveries"):
        case.query.pop("cursor", None)


def one_kind(body):
    """What to recover is a period, a time back or meetings, and never so much that listing it takes long."""
    if body.get("meetings"):
        ids = ["/aB3dE//gHiJkL4mNoPqRg==", "aB3dEgHiJkL4mNoPqRgAAA==", "85746065432"]
        return {"meetings": ids[: len(body["meetings"])], "from": None, "to": None, "last": None}
    if body.get("from") or body.get("to"):
        at = instant(body.get("from")) or instant(body.get("to"))
        begin = datetime.now(timezone.utc) - timedelta(days=3, hours=at.hour if at else 0)
        end = begin + timedelta(days=1)
        written = [begin.isoformat(), end.isoformat()] if at else [str(begin.date()), str(end.date())]
        return {"from": written[0], "to": written[1], "last": None, "meetings": None}
    return {"last": "1d" if not body.get("last") else "90m", "from": None, "to": None, "meetings": None}


def instant(text):
    try:
        at = datetime.fromisoformat(text.upper())
        return at.astimezone(timezone.utc) if at.tzinfo else at.replace(tzinfo=timezone.utc)
    except (AttributeError, OverflowError, ValueError):
        return None
