output "vault" {
  description = "What cis.yaml says as vault."
  value       = "firestore:${var.project}/${google_firestore_database.vault.name}"
}

output "writer_role" {
  description = "What whoever writes the vault needs and no more."
  value       = "roles/datastore.user"
}

output "reader_role" {
  description = "What whoever reads the vault needs and no more."
  value       = "roles/datastore.viewer"
}
