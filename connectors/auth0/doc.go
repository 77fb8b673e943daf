// Package auth0 reads the users of an Auth0 tenant, CIS's access provider.
package auth0
