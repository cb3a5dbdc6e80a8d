"""What role rules would do to the people of a directory (`ui.md` §12.2)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from syncline.core.role_conflicts import MAX_EXAMPLES
from syncline.services.role_conflicts import MAX_RULES_SHOWN, MAX_SHOWN, FoundConflict, FoundConflicts
from syncline.services.role_impact import RoleImpact, Warned
from syncline.services.role_person import PersonOutcome
from syncline.services.role_previews import Preview
from syncline.web.api.described import note
from syncline.web.api.role_rules import REFUSALS, RULES_PATH, RoleRulesInput, rules_from
from syncline.web.api.routing import Answer, Call, Route

PERSON = note(
    "Somebody whose roles before and after are told as well, for example whoever edits: the id of a "
    "directory user, or a primary e-mail address.",
    "directory_user_01KA0Z1B3D5F7H9K1M3P5R7T9V",
)


_PERSON = note("The person that was named in the call; null if nobody was.")


class RoleRulesPreviewInput(RoleRulesInput, frozen=True, forbid_unknown_fields=True):
    """The rules of a directory to try out, whole and in order."""

    person: Annotated[str | None, PERSON] = None


class PersonInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is looked at closely in a preview, if anybody."""

    person: Annotated[str | None, PERSON] = None


class RoleEffect(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one role."""

    role: Annotated[str, note("The slug of the role.", "admin")]
    name: Annotated[str, note("Its name.", "Admin")]
    before: Annotated[int, note("How many people hold it now.", 3)]
    after: Annotated[int, note("How many would, floors aside.", 15)]
    gain: Annotated[int, note("How many would get it.", 12)]
    lose: Annotated[int, note("How many would lose it, floors aside.", 0)]
    held: Annotated[int, note("How many of these a floor would keep from losing it.", 0)]


class RoleWarning(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at before the rules are put in force."""

    code: Annotated[
        str,
        note(
            "`large_change`: more than a fifth of the people change; `role_without_holders`: nobody holds a "
            "role any more; `floor_holds`: a floor would hold a part of the change; `not_all_counted`: there "
            "are more directories than were looked at; `person_loses_access`: the person that was named "
            "loses a role.",
            "large_change",
        ),
    ]
    message: Annotated[str, note("The same in a sentence.")]
    role: Annotated[str | None, note("The role it is about; null if it is about all.")]


class RoleExample(msgspec.Struct, frozen=True, kw_only=True):
    """A person whose roles would change."""

    directory_user_id: Annotated[str, note("The person.")]
    email: Annotated[str | None, note("Their address.")]
    before: Annotated[list[str], note("Their roles now.", ["member"])]
    after: Annotated[list[str], note("Their roles then, floors aside.", ["admin"])]


class RolePerson(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the roles of the person that was named, floors aside."""

    directory_user_id: Annotated[str, note("The person.")]
    email: Annotated[str | None, note("Their address.")]
    before: Annotated[list[str], note("Their roles now.", ["admin"])]
    after: Annotated[list[str], note("Their roles then.", ["member"])]
    gains: Annotated[list[str], note("Roles that they would get.", ["member"])]
    loses: Annotated[list[str], note("Roles that they would lose.", ["admin"])]


class RoleConflictRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that matches, beside others."""

    number: Annotated[int, note("Its place in `rules`, from 1.", 1)]
    role: Annotated[str, note("The slug of its role.", "editor")]
    text: Annotated[str, note("Its condition in words.", "is a member of the group “Engineering”")]


class RoleConflictExample(msgspec.Struct, frozen=True, kw_only=True):
    """A person whom several rules match."""

    directory_user_id: Annotated[str, note("The person.")]
    email: Annotated[str | None, note("Their address.")]


class RoleConflict(msgspec.Struct, frozen=True, kw_only=True):
    """People whom the same several rules match, and no others."""

    people: Annotated[int, note("How many.", 6)]
    matched: Annotated[int, note("How many rules match them.", 2)]
    rules: Annotated[list[RoleConflictRule], note(f"These rules, {MAX_RULES_SHOWN} of them at most.")]
    roles: Annotated[list[str], note("The roles that the people get.", ["editor"])]
    rule: Annotated[
        int | None, note("The number of the rule that wins; null in mode `multiple`, where all count.", 1)
    ]
    contested: Annotated[
        bool, note("Whether a rule does not get its way; false where the people get the same either way.")
    ]
    text: Annotated[
        str,
        note(
            "All of it in words.",
            "6 people are in both “Engineering” and “Security”. They get Editor either way.",
        ),
    ]
    examples: Annotated[list[RoleConflictExample], note(f"Up to {MAX_EXAMPLES} of these people.")]


class RoleConflicts(msgspec.Struct, frozen=True, kw_only=True):
    """People whom more than one rule matches."""

    people: Annotated[int, note("How many.", 9)]
    contested: Annotated[int, note("How many of these rules disagree about.", 3)]
    sets: Annotated[int, note("How many different sets of rules match them.", 2)]
    complete: Annotated[
        bool,
        note("False where there are more sets than are told apart; `people` counts everybody then, too."),
    ]
    data: Annotated[
        list[RoleConflict],
        note(
            f"Up to {MAX_SHOWN} sets: those that rules disagree about first, then those of the most people."
        ),
    ]


class _RulesEffects(msgspec.Struct, frozen=True, kw_only=True):
    """What other rules would do."""

    object: Literal["role_rules_preview"] = "role_rules_preview"
    directory_id: str
    summary: Annotated[str, note("In words.", "12 gain Admin, 340 lose Editor, 0 Admins left")]
    total: Annotated[int, note("People in the directory.", 1284)]
    changed: Annotated[int, note("People whose roles would change, floors aside.", 352)]
    roles: Annotated[list[RoleEffect], note("Every role, the most important first.")]
    warnings: Annotated[list[RoleWarning], note("What to look at.")]
    examples: Annotated[list[RoleExample], note("Up to 20 people whose roles would change.")]


class RoleRulesPreview(_RulesEffects, frozen=True, kw_only=True):
    """What rules would do if they were put in force now."""

    conflicts: Annotated[RoleConflicts, note("People whom several rules match.")]
    person: Annotated[RolePerson | None, _PERSON]


class RoleRulesDeletionPreview(_RulesEffects, frozen=True, kw_only=True):
    """What it would do now to take the rules of a directory out of use."""

    person: Annotated[RolePerson | None, _PERSON]


def _effects(directory_id: str, found: Preview) -> _RulesEffects:
    impact = found.impact
    return _RulesEffects(
        directory_id=directory_id,
        summary=impact.summary,
        total=impact.total,
        changed=impact.changed,
        roles=[role_effect(one) for one in impact.roles],
        warnings=[role_warning(one) for one in found.warnings],
        examples=[
            RoleExample(
                directory_user_id=one.directory_user_id,
                email=one.email,
                before=list(one.before),
                after=list(one.after),
            )
            for one in impact.examples
        ],
    )


def fields_of(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a part of an answer, which the whole takes as they are."""
    return {name: getattr(body, name) for name in body.__struct_fields__}


def role_effect(found: RoleImpact) -> RoleEffect:
    """Return what happens to a role as the API shows it."""
    return RoleEffect(
        role=found.role,
        name=found.name,
        before=found.before,
        after=found.after,
        gain=found.gain,
        lose=found.lose,
        held=found.held,
    )


def role_warning(found: Warned) -> RoleWarning:
    """Return a warning as the API shows it."""
    return RoleWarning(code=found.code, message=found.message, role=found.role)


def role_person(found: PersonOutcome | None) -> RolePerson | None:
    """Return the outcome of a person as the API shows it, None for nobody."""
    if found is None:
        return None
    return RolePerson(
        directory_user_id=found.directory_user_id,
        email=found.email,
        before=list(found.before),
        after=list(found.after),
        gains=found.gains,
        loses=found.loses,
    )


def _conflicts(found: FoundConflicts) -> RoleConflicts:
    return RoleConflicts(
        people=found.people,
        contested=found.contested,
        sets=found.sets,
        complete=found.is_complete,
        data=[_conflict(one) for one in found.shown],
    )


def _conflict(found: FoundConflict) -> RoleConflict:
    return RoleConflict(
        people=found.people,
        matched=found.matched,
        rules=[RoleConflictRule(number=one.number, role=one.role, text=one.text) for one in found.rules],
        roles=list(found.roles),
        rule=found.rule,
        contested=found.contested,
        text=found.text,
        examples=[
            RoleConflictExample(directory_user_id=one.directory_user_id, email=one.email)
            for one in found.examples
        ],
    )


async def _try_out(call: Call) -> Answer:
    directory_id = call.path["id"]
    given = call.read(RoleRulesPreviewInput)
    rules = await rules_from(call, given)
    found = await call.services.role_previews.of(call.environment_id, directory_id, rules, given.person)
    return Answer(
        200,
        RoleRulesPreview(
            **fields_of(_effects(directory_id, found)),
            conflicts=_conflicts(found.conflicts),
            person=role_person(found.person),
        ),
    )


async def _try_out_none(call: Call) -> Answer:
    directory_id, given = call.path["id"], call.read(PersonInput)
    found = await call.services.role_previews.of_none(call.environment_id, directory_id, given.person)
    effects = fields_of(_effects(directory_id, found))
    return Answer(200, RoleRulesDeletionPreview(**effects, person=role_person(found.person)))


ROUTES = (
    Route(
        "POST",
        f"{RULES_PATH}/preview",
        _try_out,
        "Try role rules out",
        RoleRulesPreview,
        takes=RoleRulesPreviewInput,
        scope="admin",
        about=(
            "Tells who would gain and lose which role, whom several rules match, and what becomes of one "
            "person that may be named. Nothing changes."
        ),
        refusals=REFUSALS,
    ),
    Route(
        "POST",
        f"{RULES_PATH}/deletion/preview",
        _try_out_none,
        "Try out to take the role rules of a directory out of use",
        RoleRulesDeletionPreview,
        takes=PersonInput,
        scope="admin",
        about="Tells who would lose which role. Nothing changes.",
    ),
)
