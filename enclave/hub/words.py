"""What the hub and the gateway say to a person, in French, then in English."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One sentence in the two languages of the house."""

    fr: str
    en: str

    def __str__(self) -> str:
        return f"{self.fr} — {self.en}"


LOGIN_REFUSED = Words("Identifiant ou mot de passe refusé.", "The name or the password is wrong.")
HOUSE_DOWN = Words(
    "L'enclave ne répond pas : rien n'a été fait. Réessayez, ou prévenez l'exploitant.",
    "The enclave does not answer: nothing was done. Try again, or tell the operator.",
)
NO_DEFAULT_SERVER = Words(
    "Un carnet appartient à un projet : ouvrez-le depuis la page de vos projets.",
    "A notebook belongs to a project: open it from the page of your projects.",
)
SESSION_REFUSED = Words(
    "Ce projet ne peut pas être ouvert par vous aujourd'hui.",
    "This project cannot be opened by you today.",
)
NOT_STARTED = Words(
    "Le bac à sable du carnet n'a pas démarré. Prévenez l'exploitant ; le journal du serveur dit pourquoi.",
    "The notebook's sandbox did not start. Tell the operator; the server's log says why.",
)
NOT_YOURS = Words("Ce projet n'est pas ouvert pour vous.", "This project is not open to you.")
CLOSED = Words("Cette adresse est fermée dans l'enclave.", "This address is closed in this enclave.")
BAD_ADDRESS = Words("Cette adresse est mal formée.", "This address is malformed.")
OTHER_ORIGIN = Words(
    "Cette requête vient d'une autre adresse que celle de l'enclave.",
    "This request comes from another address than the enclave's.",
)
TOO_LARGE = Words("L'envoi est trop grand.", "What was sent is too large.")
NO_SERVER = Words("Ce carnet n'est pas démarré.", "This notebook is not started.")
NO_DOWNLOAD = Words(
    "Le téléchargement est fermé : demandez une sortie.", "Downloads are closed: ask for a release."
)
BUDGET_SPENT = Words(
    "Votre volume d'affichage du jour est épuisé ; il revient demain (heure UTC). Pour un fichier, demandez une sortie.",
    "Your output volume of the day is spent; it comes back tomorrow (UTC). For a file, ask for a release.",
)
NOT_METERED = Words(
    "Ce qui s'affiche ne peut pas être inscrit au journal : l'affichage est fermé.",
    "What is shown cannot be recorded in the trail: the display is closed.",
)
