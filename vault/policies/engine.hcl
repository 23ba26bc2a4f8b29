# The engine opens research and text shelves, the answers it stored and the lists of who objected; never an identity shelf.

path "transit/decrypt/research_*" {
  capabilities = ["update"]
}

path "transit/decrypt/text_*" {
  capabilities = ["update"]
}

path "transit/decrypt/answers_*" {
  capabilities = ["update"]
}

path "transit/decrypt/objections_*" {
  capabilities = ["update"]
}

path "transit/keys/objections_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/datakey/plaintext/objections_*" {
  capabilities = ["update"]
}

path "transit/keys/answers_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/datakey/plaintext/answers_*" {
  capabilities = ["update"]
}

path "transit/hmac/mac_unit/sha2-256" {
  capabilities = ["update"]
}

path "transit/hmac/mac_order/sha2-256" {
  capabilities = ["update"]
}

path "transit/hmac/mac_pseudonym/sha2-256" {
  capabilities = ["update"]
}

path "transit/keys/sign_manifest" {
  capabilities = ["read"]
}

path "transit/keys/sign_package" {
  capabilities = ["read"]
}
