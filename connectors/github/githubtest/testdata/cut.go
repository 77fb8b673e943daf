// Cut reads GitHub's description of its API and writes the part of it that
// package githubtest answers: the operations below and what they refer to,
// without examples. README.md, beside it, says where the description is from.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
)

// The operations that package github asks for.
var wanted = map[string]string{
	"/orgs/{org}":                                          "get",
	"/orgs/{org}/members":                                  "get",
	"/orgs/{org}/memberships/{username}":                   "get",
	"/orgs/{org}/outside_collaborators":                    "get",
	"/orgs/{org}/teams":                                    "get",
	"/orgs/{org}/teams/{team_slug}/members":                "get",
	"/orgs/{org}/teams/{team_slug}/memberships/{username}": "get",
	"/orgs/{org}/installation":                             "get",
	"/app/installations/{installation_id}/access_tokens":   "post",
	"/user/{account_id}":                                   "get",
	"/user/memberships/orgs/{org}":                         "get",
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run cut.go generated/ghec.json >ghec.json")
	}
	b, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var all struct {
		OpenAPI    string                               `json:"openapi"`
		Info       map[string]any                       `json:"info"`
		Paths      map[string]map[string]map[string]any `json:"paths"`
		Components map[string]map[string]any            `json:"components"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		log.Fatal(err)
	}
	paths := map[string]any{}
	components := map[string]map[string]any{}
	// keep strips v and keeps all the components that it refers to.
	var keep func(v any) any
	keep = func(v any) any {
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = keep(v[i])
			}
		case map[string]any:
			for key, value := range v {
				if ref, ok := value.(string); ok && key == "$ref" {
					part := strings.Split(ref, "/") // # components KIND NAME
					kind, name := part[2], part[3]
					if components[kind] == nil {
						components[kind] = map[string]any{}
					}
					if _, kept := components[kind][name]; !kept {
						components[kind][name] = nil // before what refers to itself
						components[kind][name] = keep(all.Components[kind][name])
					}
				} else if key == "example" || key == "examples" || strings.HasPrefix(key, "x-") {
					delete(v, key)
				} else {
					v[key] = keep(value)
				}
			}
		}
		return v
	}
	for path, method := range wanted {
		operation, ok := all.Paths[path][method]
		if !ok {
			log.Fatalf("the description has no %s %s", method, path)
		}
		paths[path] = map[string]any{method: keep(operation)}
	}
	out, err := json.MarshalIndent(map[string]any{
		"openapi": all.OpenAPI, "info": keep(all.Info), "paths": paths, "components": components,
	}, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(out))
}
