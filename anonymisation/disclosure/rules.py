"""The catalogue of rules: what each says, where it comes from, how to repair; French first, English second."""

from dataclasses import dataclass
from typing import Final

from anonymisation.disclosure.policy import DisclosurePolicy
from anonymisation.disclosure.report import Finding, Verdict
from anonymisation.identifiers.words import Words

OWN: Final = "Enclave, release policy"
SNDS: Final = "SNDS, règles d'export : pas d'effectif de 1 à 10 (habit, to be confirmed with the partner)"
OPENSAFELY: Final = "OpenSAFELY, permitted results policy"
HANDBOOK: Final = "Handbook on Statistical Disclosure Control for Outputs (2019)"
OWASP: Final = "OWASP, CSV Injection"
CNIL: Final = "RGPD art. 4(1); CNIL, guide pratique: données directement identifiantes"
UNICODE: Final = "Unicode Technical Report 36, Security Considerations"
PNG: Final = "W3C, Portable Network Graphics (Third Edition)"
PARQUET: Final = "Apache Parquet, file format"
RFC8259: Final = "RFC 8259 (JSON)"
PICKLE: Final = "Python documentation, pickle: never unpickle what you do not trust"


@dataclass(frozen=True)
class Rule:
    """One rule; `{threshold}` and the like in its words are numbers of the policy."""

    code: str
    check: str
    verdict: Verdict
    fr: str
    en: str
    source: str
    fix_fr: str
    fix_en: str

    def at(self, where: Words, policy: DisclosurePolicy) -> Finding:
        """Give this rule's finding at a place."""
        numbers = {
            "threshold": policy.threshold,
            "below": policy.threshold - 1,
            "rows": policy.most_rows,
            "share": round(policy.unique_share * 100),
            "megabytes": policy.file_bytes // 1_000_000,
            "text_megabytes": policy.text_bytes // 1_000_000,
            "files": policy.files,
        }
        rule = Words(self.fr.format(**numbers), self.en.format(**numbers))
        fix = Words(self.fix_fr.format(**numbers), self.fix_en.format(**numbers))
        return Finding(self.check, self.code, self.verdict, where, rule, self.source, fix)


HIDDEN, PERSONAL, COUNTS, DUMP = "file_type_and_hidden_content", "identifiers", "small_counts", "row_dump"
_TABLE: Final[tuple[tuple[str, str, Verdict, str, str, str, str, str], ...]] = (
    # what the checks looked for and did not find
    ("clear_hidden", HIDDEN, "pass", "Type admis, contenu conforme, rien de caché n'a été trouvé.", "An admitted type, content to match, nothing hidden found.", OWN, "", ""),
    ("clear_identifiers", PERSONAL, "pass", "Aucun identifiant direct reconnu.", "No direct identifier recognised.", CNIL, "", ""),
    ("clear_counts", COUNTS, "pass", "Aucun effectif de 1 à {below} trouvé.", "No count from 1 to {below} found.", SNDS, "", ""),
    ("clear_rows", DUMP, "pass", "Rien ne ressemble à des données individuelles.", "Nothing looks like individual records.", OPENSAFELY, "", ""),
    ("not_reached", "", "review", "Ce contrôle n'a pas eu lieu : le fichier n'a pas pu être lu.", "This check did not run: the file could not be read.", OWN, "Corrigez d'abord ce qui empêche la lecture.", "First repair what prevents reading."),
    # type and hidden content
    ("too_many_files", HIDDEN, "fail", "Une demande porte sur {files} fichiers au plus.", "A request holds at most {files} files.", OWN, "Faites plusieurs demandes.", "Make several requests."),
    ("file_too_large", HIDDEN, "fail", "Un fichier pèse au plus {megabytes} Mo.", "A file weighs at most {megabytes} MB.", OPENSAFELY, "Agrégez davantage, ou scindez le tableau.", "Aggregate more, or split the table."),
    ("text_too_large", HIDDEN, "fail", "Un texte pèse au plus {text_megabytes} Mo : au-delà, ce sont des données.", "A text weighs at most {text_megabytes} MB: beyond that it is data.", OWN, "Agrégez davantage.", "Aggregate more."),
    ("identifiers_not_reached", PERSONAL, "fail", "Le fichier n'a pas été lu : rien n'établit qu'il est sans identifiant direct.", "The file was not read: nothing shows that it is free of direct identifiers.", CNIL, "Corrigez d'abord ce qui empêche la lecture.", "First repair what prevents reading."),
    ("file_empty", HIDDEN, "fail", "Le fichier est vide.", "The file is empty.", OWN, "Retirez-le de la demande.", "Take it out of the request."),
    ("name_not_plain", HIDDEN, "fail", "Le nom du fichier n'est pas un nom simple (lettres, chiffres, espace, point, tiret).", "The file name is not a plain one (letters, figures, space, point, hyphen).", OWN, "Renommez le fichier.", "Rename the file."),
    ("name_twice", HIDDEN, "fail", "Deux fichiers ont le même nom, à la casse près.", "Two files have the same name but for case.", OWN, "Renommez l'un des deux.", "Rename one of the two."),
    ("type_not_admitted", HIDDEN, "fail", "Seuls sortent les fichiers csv, parquet, png, md, txt et json.", "Only csv, parquet, png, md, txt and json files may leave.", OPENSAFELY, "Convertissez le contenu dans l'un de ces types.", "Convert the content into one of these types."),
    ("spreadsheet", HIDDEN, "fail", "Un classeur peut cacher feuilles, formules et macros.", "A workbook can hide sheets, formulas and macros.", OPENSAFELY, "Enregistrez chaque feuille en CSV (write_csv).", "Save each sheet as CSV (write_csv)."),
    ("executable_model", HIDDEN, "fail", "Un objet sérialisé (pickle, joblib, RDS…) exécute du code et peut contenir les données.", "A serialised object (pickle, joblib, RDS…) runs code and can hold the data.", PICKLE, "Exportez les coefficients ou les métriques en CSV ou JSON.", "Export coefficients or metrics as CSV or JSON."),
    ("active_page", HIDDEN, "fail", "SVG et HTML embarquent les données du graphique et du code.", "SVG and HTML embed the data of the figure, and code.", HANDBOOK, "Exportez la figure en PNG, avec ses données agrégées en CSV.", "Export the figure as PNG, with its aggregated data as CSV."),
    ("notebook", HIDDEN, "fail", "Un notebook garde des sorties et des données cachées.", "A notebook keeps hidden outputs and data.", OWN, "Exportez le tableau (CSV), la figure (PNG) et le texte (MD) à part.", "Export the table (CSV), the figure (PNG) and the text (MD) apart."),
    ("archive", HIDDEN, "fail", "Une archive n'est jamais ouverte ici (bombes de décompression, fichiers cachés).", "An archive is never opened here (decompression bombs, hidden files).", OWN, "Déposez les fichiers un par un, non compressés.", "Submit the files one by one, not compressed."),
    ("document", HIDDEN, "fail", "Un document bureautique ou PDF peut cacher métadonnées et révisions.", "An office or PDF document can hide metadata and revisions.", OWN, "Donnez le texte en MD ou TXT, les tableaux en CSV.", "Give the text as MD or TXT, the tables as CSV."),
    ("content_not_as_named", HIDDEN, "fail", "Le contenu n'est pas celui que l'extension annonce.", "The content is not what the extension announces.", OWN, "Enregistrez le fichier dans son vrai type, s'il est admis.", "Save the file as its true type, if that is admitted."),
    ("not_utf8", HIDDEN, "fail", "Le texte n'est pas en UTF-8 valide.", "The text is not valid UTF-8.", OWN, "Enregistrez-le en UTF-8.", "Save it as UTF-8."),
    ("control_characters", HIDDEN, "fail", "Le texte contient des caractères de contrôle ou NUL.", "The text holds control characters or NUL.", UNICODE, "Supprimez ces caractères.", "Remove these characters."),
    ("invisible_characters", HIDDEN, "fail", "Le texte contient des caractères invisibles ou qui en inversent le sens de lecture.", "The text holds characters that are invisible or reverse the reading direction.", UNICODE, "Supprimez ces caractères.", "Remove these characters."),
    ("mixed_alphabets", HIDDEN, "fail", "Un mot mélange des lettres de plusieurs alphabets qui se ressemblent.", "A word mixes look-alike letters of several alphabets.", UNICODE, "Réécrivez ce mot avec un seul alphabet.", "Write this word in one alphabet."),
    ("formula", HIDDEN, "fail", "Une cellule commence par = @ + ou - sans être un nombre : un tableur l'exécuterait.", "A cell begins with = @ + or - and is no number: a spreadsheet would run it.", OWASP, "Supprimez ce signe, ou écrivez la valeur.", "Remove the sign, or write the value."),
    ("encoded_blob", HIDDEN, "fail", "Une longue suite encodée (base64, hexadécimal, data:) peut contenir n'importe quoi.", "A long encoded run (base64, hexadecimal, data:) can hold anything.", OWN, "Retirez-la.", "Take it out."),
    ("long_line", HIDDEN, "review", "Une ligne est trop longue pour être relue par une personne.", "A line is too long for a person to read over.", OWN, "Coupez la ligne, ou donnez un tableau.", "Break the line, or give a table."),
    ("trailing_blanks", HIDDEN, "review", "Des fins de ligne portent des blancs qui peuvent coder un message.", "Lines end in blanks that can encode a message.", OWN, "Supprimez les blancs en fin de ligne.", "Remove the blanks at the ends of lines."),
    ("markup", HIDDEN, "fail", "Du HTML ou un commentaire peut cacher du contenu dans le texte.", "HTML or a comment can hide content in the text.", OWN, "Écrivez en Markdown simple, sans balise ni commentaire.", "Write plain Markdown, without tags or comments."),
    ("remote_picture", HIDDEN, "fail", "Une image distante fait sortir une trace à chaque lecture.", "A remote picture leaks a trace at each reading.", OWN, "Joignez la figure en PNG.", "Submit the figure as PNG."),
    ("table_ragged", HIDDEN, "review", "Les lignes n'ont pas toutes le même nombre de colonnes.", "The rows do not all have the same number of columns.", OWN, "Donnez un tableau par fichier, avec un titre par colonne.", "Give one table a file, with a heading for each column."),
    ("table_unreadable", HIDDEN, "fail", "Le fichier ne se lit pas comme un tableau.", "The file does not read as a table.", OWN, "Réenregistrez-le (write_csv, UTF-8, « ; » ou « , »).", "Save it again (write_csv, UTF-8, `;` or `,`)."),
    ("json_unreadable", HIDDEN, "fail", "Ce n'est pas du JSON valide.", "This is not valid JSON.", RFC8259, "Réenregistrez-le avec json.dumps.", "Save it again with json.dumps."),
    ("json_too_deep", HIDDEN, "fail", "Le JSON est trop imbriqué pour être relu.", "The JSON is nested too deep to be read over.", OWN, "Donnez un tableau CSV.", "Give a CSV table."),
    ("json_key_twice", HIDDEN, "fail", "Une clé est donnée deux fois : des lecteurs différents n'y liront pas la même chose.", "A key is given twice: two readers would not read the same.", RFC8259, "Gardez une seule des deux.", "Keep one of the two."),
    ("png_damaged", HIDDEN, "fail", "L'image n'est pas un PNG bien formé.", "The picture is not a well-formed PNG.", PNG, "Exportez-la de nouveau (savefig).", "Export it again (savefig)."),
    ("png_tail", HIDDEN, "fail", "Des octets suivent la fin de l'image.", "Bytes follow the end of the picture.", PNG, "Exportez-la de nouveau (savefig).", "Export it again (savefig)."),
    ("png_metadata", HIDDEN, "fail", "L'image porte du texte, des métadonnées ou un bloc inconnu.", "The picture carries text, metadata or an unknown chunk.", PNG, "Exportez-la sans métadonnées : savefig(..., metadata={{'Software': None}}).", "Export it without metadata: savefig(..., metadata={{'Software': None}})."),
    ("png_pixels", HIDDEN, "fail", "Les points de l'image ne sont pas ceux qu'elle annonce (bombe, données cachées).", "The picture's points are not those it announces (bomb, hidden data).", PNG, "Exportez-la de nouveau, non entrelacée.", "Export it again, not interlaced."),
    ("figure", HIDDEN, "review", "Une figure ne se contrôle pas seule : une personne la regarde.", "A figure cannot be checked alone: a person looks at it.", OPENSAFELY, "Joignez ses données agrégées en CSV.", "Submit its aggregated data as CSV."),
    ("parquet_unreadable", HIDDEN, "fail", "Le fichier Parquet ne se lit pas dans les limites de temps et de mémoire.", "The Parquet file does not read within the limits of time and memory.", PARQUET, "Réenregistrez-le (write_parquet), ou donnez un CSV.", "Save it again (write_parquet), or give a CSV."),
    ("parquet_metadata", HIDDEN, "fail", "Le fichier Parquet porte des métadonnées ajoutées.", "The Parquet file carries added metadata.", PARQUET, "Enregistrez-le sans métadonnées, ou donnez un CSV.", "Save it without metadata, or give a CSV."),
    ("parquet_gap", HIDDEN, "fail", "Des octets du fichier Parquet n'appartiennent à aucune colonne.", "Bytes of the Parquet file belong to no column.", PARQUET, "Réenregistrez-le (write_parquet), ou donnez un CSV.", "Save it again (write_parquet), or give a CSV."),
    ("parquet_unused_values", HIDDEN, "fail", "Une colonne garde des valeurs qu'aucune ligne ne montre.", "A column keeps values that no row shows.", PARQUET, "Convertissez les catégories en texte avant d'écrire.", "Turn categories into text before writing."),
    ("parquet_nested", HIDDEN, "fail", "Une colonne est binaire ou imbriquée.", "A column is binary or nested.", PARQUET, "Gardez des colonnes de texte, de nombres, de dates.", "Keep columns of text, numbers, dates."),
    ("unreadable", HIDDEN, "fail", "La lecture du fichier a échoué.", "Reading the file failed.", OWN, "Réenregistrez-le, ou donnez-le dans un autre type admis.", "Save it again, or give it as another admitted type."),
    # identifiers
    ("identifier", PERSONAL, "fail", "Un identifiant direct a été reconnu.", "A direct identifier was recognised.", CNIL, "Retirez-le. Aucune exception n'est possible.", "Take it out. No exception is possible."),
    ("identifier_doubtful", PERSONAL, "review", "Ceci ressemble à un identifiant ou à un nom.", "This looks like an identifier or a name.", CNIL, "Retirez-le, ou dites dans la demande pourquoi il peut sortir.", "Take it out, or say in the request why it may leave."),
    ("identifier_heading", PERSONAL, "fail", "Un titre annonce un identifiant direct.", "A heading announces a direct identifier.", CNIL, "Supprimez la colonne.", "Remove the column."),
    ("identifier_in_name", PERSONAL, "fail", "Le nom du fichier contient un identifiant.", "The file name holds an identifier.", CNIL, "Renommez le fichier.", "Rename the file."),
    # small counts
    ("small_count", COUNTS, "fail", "Un effectif est compris entre 1 et {below}.", "A count lies between 1 and {below}.", SNDS, "Regroupez des modalités, ou remplacez ces effectifs par « < {threshold} » sans total qui permette de les retrouver.", "Merge categories, or replace these counts by `< {threshold}` with no total that would give them back."),
    ("small_bound", COUNTS, "fail", "Un effectif masqué l'est sous une borne inférieure à {threshold}.", "A hidden count is hidden under a bound lower than {threshold}.", SNDS, "Écrivez « < {threshold} ».", "Write `< {threshold}`."),
    ("small_count_in_text", COUNTS, "fail", "Le texte donne un effectif compris entre 1 et {below} (« n = … »).", "The text gives a count between 1 and {below} (`n = …`).", SNDS, "Retirez-le, ou écrivez « moins de {threshold} ».", "Take it out, or write `fewer than {threshold}`."),
    ("perhaps_small_count_in_text", COUNTS, "review", "Le texte semble donner un petit effectif de personnes.", "The text seems to give a small number of people.", SNDS, "Retirez-le, ou écrivez « moins de {threshold} ».", "Take it out, or write `fewer than {threshold}`."),
    ("perhaps_small_count", COUNTS, "review", "Des petits nombres entiers, dans une colonne dont le titre ne dit pas ce qu'elle compte.", "Small whole numbers, in a column whose heading does not say what it counts.", HANDBOOK, "Donnez un titre clair (n, age, mois…), ou supprimez la colonne.", "Give a clear heading (n, age, month…), or remove the column."),
    ("count_unreadable", COUNTS, "review", "Une colonne d'effectifs contient autre chose que des nombres sans équivoque.", "A column of counts holds something else than unequivocal numbers.", OWN, "Écrivez des entiers sans séparateur de milliers.", "Write whole numbers without thousands separator."),
    ("negative_count", COUNTS, "review", "Un effectif est négatif.", "A count is negative.", OWN, "Dites d'où il vient (réponse bruitée ?).", "Say where it comes from (a noisy answer?)."),
    ("percent_without_count", COUNTS, "review", "Des pourcentages sont donnés sans les effectifs sur lesquels ils portent.", "Percentages are given without the counts they stand on.", OPENSAFELY, "Ajoutez une colonne avec le dénominateur.", "Add a column with the denominator."),
    ("percent_reveals_count", COUNTS, "review", "Un pourcentage et son effectif donnent un numérateur inférieur à {threshold}.", "A percentage and its count give a numerator below {threshold}.", OPENSAFELY, "Arrondissez le pourcentage, ou masquez-le.", "Round the percentage, or hide it."),
    ("hidden_with_total", COUNTS, "review", "Des effectifs masqués à côté d'un total peuvent se retrouver par soustraction.", "Hidden counts beside a total can be had back by subtraction.", HANDBOOK, "Supprimez le total, ou recalculez-le sur les effectifs publiés.", "Remove the total, or compute it from the published counts."),
    ("no_count_given", COUNTS, "review", "Rien ne dit sur combien de personnes porte ce tableau.", "Nothing says how many people this table stands on.", HANDBOOK, "Ajoutez une colonne d'effectifs (n).", "Add a column of counts (n)."),
    ("no_heading", COUNTS, "review", "La première ligne ressemble à des données : les colonnes n'ont pas de titre.", "The first line looks like data: the columns have no heading.", OWN, "Ajoutez une ligne de titres.", "Add a line of headings."),
    # records
    ("too_many_rows", DUMP, "fail", "Plus de {rows} lignes : ce sont des données, pas des résultats.", "More than {rows} rows: these are data, not results.", OPENSAFELY, "Agrégez.", "Aggregate."),
    ("one_row_a_person", DUMP, "fail", "Une colonne ressemble à des identifiants de personnes ou de séjours.", "A column looks like identifiers of people or stays.", OWN, "Supprimez cette colonne et agrégez.", "Remove this column and aggregate."),
    ("nearly_all_different", DUMP, "fail", "Plus de {share} % des valeurs d'une colonne sont différentes, et aucune colonne ne compte les personnes.", "More than {share} % of the values of a column are different, and no column counts people.", OWN, "Agrégez, et donnez les effectifs.", "Aggregate, and give the counts."),
    ("text_column", DUMP, "fail", "Une colonne contient du texte libre, différent à chaque ligne.", "A column holds free text, different in each row.", OWN, "Supprimez cette colonne.", "Remove this column."),
    ("constant_count", DUMP, "review", "L'effectif est le même sur toutes les lignes : est-ce bien un effectif ?", "The count is the same on all rows: is it one?", OWN, "Donnez l'effectif de chaque ligne.", "Give the count of each row."),
    ("too_many_columns", DUMP, "fail", "Trop de colonnes pour être relues par une personne.", "Too many columns for a person to read over.", OWN, "Scindez ou agrégez le tableau.", "Split or aggregate the table."),
    ("too_wide", HIDDEN, "fail", "Trop de colonnes pour être relues par une personne.", "Too many columns for a person to read over.", OWN, "Scindez ou agrégez le tableau.", "Split or aggregate the table."),
    ("long_text", DUMP, "review", "Le texte est trop long pour être relu ligne à ligne.", "The text is too long to be read over line by line.", OWN, "Raccourcissez-le.", "Shorten it."),
)  # fmt: skip
RULES: Final = {row[0]: Rule(*row) for row in _TABLE}
