locals {
  # The one list of indexes. The Firebase command line reads the same file.
  declared = jsondecode(file("${path.module}/../../sinks/firestore/indexes.json"))

  composites = {
    for i in local.declared.indexes :
    join(" ", concat([i.collectionGroup], [for f in i.fields : f.fieldPath])) => i
  }
  fields = {
    for f in local.declared.fieldOverrides : "${f.collectionGroup} ${f.fieldPath}" => f
  }

  # A role in this database and in no other.
  here = "resource.name == \"projects/${var.project}/databases/${var.database}\""
}

resource "google_firestore_database" "vault" {
  project                           = var.project
  name                              = var.database
  location_id                       = var.location
  type                              = "FIRESTORE_NATIVE"
  database_edition                  = "STANDARD"
  concurrency_mode                  = "PESSIMISTIC"
  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.delete_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.delete_protection ? "ABANDON" : "DELETE"
}

resource "google_firestore_index" "composite" {
  for_each = local.composites

  project     = var.project
  database    = google_firestore_database.vault.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      order        = lookup(fields.value, "order", null)
      array_config = lookup(fields.value, "arrayConfig", null)
    }
  }
}

# Of a field without indexes the block is there and empty: it is exempt. Without
# the block it would have the automatic ones.
resource "google_firestore_field" "override" {
  for_each = local.fields

  project    = var.project
  database   = google_firestore_database.vault.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes
      content {
        query_scope  = indexes.value.queryScope
        order        = lookup(indexes.value, "order", null)
        array_config = lookup(indexes.value, "arrayConfig", null)
      }
    }
  }
}

resource "google_firestore_backup_schedule" "daily" {
  count = var.backup_days > 0 ? 1 : 0

  project   = var.project
  database  = google_firestore_database.vault.name
  retention = "${var.backup_days * 24 * 60 * 60}s"

  daily_recurrence {}
}

# Whoever runs `cis sync` or any command that writes.
resource "google_project_iam_member" "writer" {
  for_each = var.writers

  project = var.project
  role    = "roles/datastore.user"
  member  = each.value

  condition {
    title      = "cis vault ${var.database}"
    expression = local.here
  }
}

# Whoever only reads.
resource "google_project_iam_member" "reader" {
  for_each = var.readers

  project = var.project
  role    = "roles/datastore.viewer"
  member  = each.value

  condition {
    title      = "cis vault ${var.database}"
    expression = local.here
  }
}
