"""An invented company: twenty-five people in four groups."""

from __future__ import annotations

from dataclasses import dataclass

DOMAIN = "northwind.example"
GROUPS = ("Engineering", "Dispatch", "Finance", "Everybody")
_NAMES = (
    "Mira Voss, Tobias Lind, Amara Okafor, Jun Takeda, Elena Petrova, Samuel Ortiz, Ingrid Dahl, "
    "Rohan Mehta, Chloe Martin, Viktor Novak, Leila Haddad, Oscar Nyberg, Priya Nair, Daniel Brandt, "
    "Sofia Rossi, Kwame Mensah, Hanna Virtanen, Luca Moretti, Yara Costa, Felix Bauer, Noor Rahman, "
    "Greta Holm, Mateo Silva, Anika Sharma, Pavel Dvorak"
)
TITLES = ("Planner", "Engineer", "Analyst", "Coordinator", "Lead")


@dataclass(frozen=True, slots=True)
class Person:
    """One of them."""

    number: int
    given_name: str
    family_name: str

    @property
    def user_name(self) -> str:
        """The sign-in name, which is the address."""
        return f"{self.given_name}.{self.family_name}@{DOMAIN}".lower()

    @property
    def external_id(self) -> str:
        """The id at the identity provider."""
        return f"00u{self.number:017d}"

    @property
    def title(self) -> str:
        """The job title at the beginning."""
        return TITLES[self.number % len(TITLES)]


def people() -> list[Person]:
    """Return all of them, always the same."""
    return [Person(n, *name.strip().split(" ", 1)) for n, name in enumerate(_NAMES.split(","), 1)]


def members_of(group: str) -> list[Person]:
    """Return who is in a group."""
    if group == "Everybody":
        return people()
    place = GROUPS.index(group)
    return [person for person in people() if person.number % 3 == place]
