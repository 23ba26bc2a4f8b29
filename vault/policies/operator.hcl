# The operator rotates, rewraps, retires and destroys; nothing here shows a key. Macs and the package key are out of reach.

path "transit/keys" {
  capabilities = ["list"]
}

path "transit/keys/" {
  capabilities = ["list"]
}

path "transit/keys/research_*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "deletion_allowed"       = [true]
    "min_decryption_version" = []
    "min_encryption_version" = []
    "min_available_version"  = []
  }
}

path "transit/keys/identity_*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "deletion_allowed"       = [true]
    "min_decryption_version" = []
    "min_encryption_version" = []
    "min_available_version"  = []
  }
}

path "transit/keys/text_*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "deletion_allowed"       = [true]
    "min_decryption_version" = []
    "min_encryption_version" = []
    "min_available_version"  = []
  }
}

path "transit/keys/answers_*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "deletion_allowed"       = [true]
    "min_decryption_version" = []
    "min_encryption_version" = []
    "min_available_version"  = []
  }
}

path "transit/keys/quarantine_*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "deletion_allowed"       = [true]
    "min_decryption_version" = []
    "min_encryption_version" = []
    "min_available_version"  = []
  }
}

path "transit/keys/objections_*" {
  capabilities = ["read", "update", "delete"]
  allowed_parameters = {
    "deletion_allowed"       = [true]
    "min_decryption_version" = []
    "min_encryption_version" = []
    "min_available_version"  = []
  }
}

path "transit/rewrap/research_*" {
  capabilities = ["update"]
}

path "transit/rewrap/identity_*" {
  capabilities = ["update"]
}

path "transit/rewrap/text_*" {
  capabilities = ["update"]
}

path "transit/rewrap/answers_*" {
  capabilities = ["update"]
}

path "transit/rewrap/quarantine_*" {
  capabilities = ["update"]
}

path "transit/rewrap/objections_*" {
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
