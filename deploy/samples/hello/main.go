// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Hello is a small web service for trying Fairlead out: it answers with the message of its commit, and remembers the
// CloudEvents that it is sent.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

//go:embed message.txt
var message string

// keep is how many events are remembered.
const keep = 1000

type event struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data string `json:"data"`
}

type events struct {
	mu   sync.Mutex
	list []event
}

func (e *events) take(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the event is too large", http.StatusRequestEntityTooLarge)
		return
	}
	got := event{ID: r.Header.Get("Ce-Id"), Type: r.Header.Get("Ce-Type"), Data: string(data)}
	if got.ID == "" {
		http.Error(w, "a CloudEvent in binary form has the header ce-id", http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.list = append(e.list, got); len(e.list) > keep {
		e.list = e.list[1:]
	}
	log.Printf("event %s of type %s: %s", got.ID, got.Type, got.Data)
	w.WriteHeader(http.StatusAccepted)
}

func (e *events) show(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(e.list); err != nil {
		log.Printf("answer: %v", err)
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	got := &events{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%sRevision: %s\n", message, os.Getenv("K_REVISION"))
	})
	mux.HandleFunc("GET /events", got.show)
	mux.HandleFunc("POST /{$}", got.take)

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	server := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(end); err != nil {
			log.Printf("shutdown: %v", err)
		}
	}()
	log.Printf("listening at %s", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
