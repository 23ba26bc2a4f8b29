# A compaction's process for research shelves: opens one, writes it anew without those who objected, opens no other shelf.

path "transit/decrypt/research_*" {
  capabilities = ["update"]
}

path "transit/decrypt/objections_*" {
  capabilities = ["update"]
}

path "transit/keys/research_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/datakey/plaintext/research_*" {
  capabilities = ["update"]
}

path "transit/keys/sign_manifest" {
  capabilities = ["read"]
}

path "transit/keys/sign_package" {
  capabilities = ["read"]
}
