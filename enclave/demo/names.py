"""Common French first and last names, so that made-up stays look like stays; nobody's list, nobody's person."""


def _list(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))


WOMEN = _list(
    "Marie, Jeanne, Françoise, Monique, Catherine, Nathalie, Isabelle, Jacqueline, Anne, Sylvie, Martine, "
    "Madeleine, Nicole, Suzanne, Hélène, Christine, Marguerite, Denise, Louise, Christiane, Yvonne, Valérie, "
    "Sophie, Sandrine, Céline, Chantal, Véronique, Aurélie, Émilie, Julie, Camille, Léa, Manon, Chloé, Inès, "
    "Jade, Zoé, Anne-Marie, Marie-Claude, Fatima, Aïcha, Thi Mai"
)
MEN = _list(
    "Jean, Pierre, Michel, André, Philippe, Louis, René, Alain, Jacques, Bernard, Marcel, Daniel, Roger, Robert, "
    "Paul, Claude, Christian, Henri, Georges, Nicolas, François, Patrick, Gérard, Christophe, Joseph, Julien, "
    "Maurice, Laurent, Frédéric, Éric, David, Stéphane, Pascal, Sébastien, Alexandre, Thomas, Olivier, Lucas, "
    "Hugo, Enzo, Jean-Luc, Jean-François, Mohamed, Karim, Ibrahima"
)
FAMILIES = _list(
    "Martin, Bernard, Thomas, Petit, Robert, Richard, Durand, Dubois, Moreau, Laurent, Simon, Michel, Lefebvre, "
    "Leroy, Roux, David, Bertrand, Morel, Fournier, Girard, Bonnet, Dupont, Lambert, Fontaine, Rousseau, Vincent, "
    "Muller, Lefèvre, Faure, Mercier, Blanc, Guérin, Boyer, Garnier, Chevalier, François, Legrand, Gauthier, "
    "Garcia, Perrin, Robin, Clément, Morin, Henry, Roussel, Mathieu, Masson, Marchand, Duval, Denis, Dumont, "
    "Carpentier, Berger, Raynaud, Delattre, Vandenberghe, Wattiez, Delannoy, Caron, Hernandez, Nguyen, Traoré, "
    "Benali, Da Silva, Kowalski, Yilmaz, Le Gall, De Backer, Du Bois, Saint-Martin"
)
