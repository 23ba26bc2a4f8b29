# The intake wraps new data keys and opens none. It may make a transit key bound by its context, and set nothing else of it.

path "transit/keys/research_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/keys/identity_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/keys/text_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/keys/quarantine_*" {
  capabilities = ["create", "update"]
  allowed_parameters = {
    "type"    = ["aes256-gcm96"]
    "derived" = [true]
  }
}

path "transit/datakey/plaintext/research_*" {
  capabilities = ["update"]
}

path "transit/datakey/plaintext/identity_*" {
  capabilities = ["update"]
}

path "transit/datakey/plaintext/text_*" {
  capabilities = ["update"]
}

path "transit/datakey/plaintext/quarantine_*" {
  capabilities = ["update"]
}

path "transit/hmac/mac_unit/sha2-256" {
  capabilities = ["update"]
}

path "transit/hmac/mac_order/sha2-256" {
  capabilities = ["update"]
}

path "transit/sign/sign_manifest" {
  capabilities = ["update"]
}

path "transit/keys/sign_manifest" {
  capabilities = ["read"]
}

path "transit/keys/sign_package" {
  capabilities = ["read"]
}
