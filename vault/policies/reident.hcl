# Re-identification alone opens identity shelves, and opens nothing else.

path "transit/decrypt/identity_*" {
  capabilities = ["update"]
}

path "transit/keys/sign_manifest" {
  capabilities = ["read"]
}

path "transit/keys/sign_package" {
  capabilities = ["read"]
}
