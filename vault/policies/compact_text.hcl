# A compaction's process for text shelves: opens one, writes it anew without those who objected, opens no other shelf.

path "transit/decrypt/text_*" {
  capabilities = ["update"]
}

path "transit/decrypt/objections_*" {
  capabilities = ["update"]
}

path "transit/keys/text_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/datakey/plaintext/text_*" {
  capabilities = ["update"]
}

path "transit/keys/sign_manifest" {
  capabilities = ["read"]
}

path "transit/keys/sign_package" {
  capabilities = ["read"]
}
