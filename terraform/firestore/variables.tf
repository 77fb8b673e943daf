variable "project" {
  type        = string
  description = "The Google Cloud project, in which the Firestore API is enabled."
}

variable "database" {
  type        = string
  description = "The database to make, of the vault alone."
  default     = "cis-vault"

  validation {
    condition     = can(regex("^(\\(default\\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.database))
    error_message = "A database is called (default), or by 4 to 63 of a-z, 0-9 and hyphens, from a letter to no hyphen."
  }
}

variable "location" {
  type        = string
  description = "Where people's data are kept, such as nam5, eur3 or us-west1. It cannot be changed later."
}

variable "delete_protection" {
  type        = bool
  description = "Refuse to delete the database, here and by anybody."
  default     = true
}

variable "backup_days" {
  type        = number
  description = "How many days a daily backup is kept; 0 for none. Whoever was erased is in backups for so long."
  default     = 7

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 98 && floor(var.backup_days) == var.backup_days
    error_message = "Firestore keeps backups for up to 14 weeks."
  }
}

variable "writers" {
  type        = set(string)
  description = "Who may read and write the vault, such as serviceAccount:cis-sync@PROJECT.iam.gserviceaccount.com."
  default     = []
}

variable "readers" {
  type        = set(string)
  description = "Who may read the vault."
  default     = []
}
