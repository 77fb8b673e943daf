mock_provider "google" {}

variables {
  project  = "a-project"
  location = "nam5"
  writers  = ["serviceAccount:sync@a-project.iam.gserviceaccount.com"]
  readers  = ["group:readers@example.com"]
}

run "everyday" {
  assert {
    condition     = google_firestore_database.vault.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.vault.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    error_message = "The database is not protected."
  }
  assert {
    condition     = length(google_firestore_index.composite) == length(local.declared.indexes) && length(google_firestore_field.override) == length(local.declared.fieldOverrides)
    error_message = "Not every index of indexes.json is made."
  }
  assert {
    # What is not declared is computed, and a mock makes something up.
    condition = alltrue([
      google_firestore_index.composite["people facts active"].fields[0].field_path == "facts",
      google_firestore_index.composite["people facts active"].fields[0].array_config == "CONTAINS",
      google_firestore_index.composite["people facts active"].fields[1].field_path == "active",
      google_firestore_index.composite["people facts active"].fields[1].order == "ASCENDING",
    ])
    error_message = "The fields of a composite index are not as declared."
  }
  assert {
    condition     = length(google_firestore_field.override["people profile"].index_config) == 1 && length(google_firestore_field.override["people profile"].index_config[0].indexes) == 0
    error_message = "A field is not exempt."
  }
  assert {
    condition     = one(google_firestore_field.override["rows person"].index_config[0].indexes).query_scope == "COLLECTION_GROUP"
    error_message = "An index is not of the collection group."
  }
  assert {
    condition     = one(values(google_project_iam_member.writer)).role == "roles/datastore.user" && one(values(google_project_iam_member.reader)).role == "roles/datastore.viewer"
    error_message = "A role is not the least."
  }
  assert {
    condition     = one(values(google_project_iam_member.reader)).condition[0].expression == "resource.name == \"projects/a-project/databases/cis-vault\""
    error_message = "A role is not bound to the database."
  }
  assert {
    condition     = google_firestore_backup_schedule.daily[0].retention == "604800s"
    error_message = "Backups are not kept for a week."
  }
  assert {
    condition     = output.vault == "firestore:a-project/cis-vault"
    error_message = "The vault is not said as cis.yaml has it."
  }
}

run "to_be_thrown_away" {
  variables {
    database          = "(default)"
    delete_protection = false
    backup_days       = 0
  }
  assert {
    condition     = google_firestore_database.vault.delete_protection_state == "DELETE_PROTECTION_DISABLED" && length(google_firestore_backup_schedule.daily) == 0
    error_message = "The database cannot be thrown away."
  }
}

run "no_name" {
  command = plan
  variables {
    database = "Vault"
  }
  expect_failures = [var.database]
}
