# The publisher signs packages and seals the files that ask to leave; it opens no data key.

path "transit/sign/sign_package" {
  capabilities = ["update"]
}

path "transit/hmac/mac_release/sha2-256" {
  capabilities = ["update"]
}

path "transit/keys/sign_manifest" {
  capabilities = ["read"]
}

path "transit/keys/sign_package" {
  capabilities = ["read"]
}
