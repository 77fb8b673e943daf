package api

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MetricsScope is what reading the metrics needs.
const MetricsScope = "read:metrics"

// Health returns the routes by which whoever runs the service looks after it:
// /healthz says that the process answers, /readyz that it can do its work, which
// ready finds out, and /metrics has the metrics.
func Health(ready func(context.Context) error, metrics prometheus.Gatherer) []Route {
	prom := promhttp.HandlerFor(metrics, promhttp.HandlerOpts{DisableCompression: true})
	ok := map[string]string{"status": "ok"}
	return []Route{
		{Method: "GET", Path: "/healthz", Open: true, Free: true, Serve: func(w http.ResponseWriter, _ *http.Request) error {
			return JSON(w, http.StatusOK, ok)
		}},
		{Method: "GET", Path: "/readyz", Open: true, Free: true, Serve: func(w http.ResponseWriter, r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
			defer cancel()
			if err := ready(ctx); err != nil {
				return &Error{Status: http.StatusServiceUnavailable, Code: "not_ready", Description: "the service cannot do its work at the moment", Cause: err}
			}
			return JSON(w, http.StatusOK, ok)
		}},
		{Method: "GET", Path: "/metrics", Scope: MetricsScope, Serve: func(w http.ResponseWriter, r *http.Request) error {
			prom.ServeHTTP(w, r)
			return nil
		}},
	}
}
