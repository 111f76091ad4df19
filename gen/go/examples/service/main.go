// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Command service creates, watches and deletes a Service with the Go client. Where the server is and who calls come from
// the environment: see gen/README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	corev1 "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	secure := insecure.NewCredentials()
	if ca := os.Getenv("FAIRLEAD_CA"); ca != "" {
		var err error
		if secure, err = credentials.NewClientTLSFromFile(ca, ""); err != nil {
			return err
		}
	}
	conn, err := grpc.NewClient(os.Getenv("FAIRLEAD_ADDRESS"), grpc.WithTransportCredentials(secure))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("FAIRLEAD_TOKEN"))
	return createWatchDelete(ctx, servingv1.NewServiceServiceClient(conn), os.Getenv("FAIRLEAD_NAMESPACE"), "hello-go")
}

func createWatchDelete(ctx context.Context, services servingv1.ServiceServiceClient, namespace, name string) error {
	// What is there already comes first, so it does not matter whether the watch or the object is there before the other.
	watch, err := services.Watch(ctx, &metav1.WatchRequest{Namespace: namespace, FieldSelector: "metadata.name=" + name})
	if err != nil {
		return err
	}
	service := &servingv1.Service{
		Metadata: &metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: &servingv1.ServiceSpec{Template: &servingv1.RevisionTemplateSpec{Spec: &servingv1.RevisionSpec{
			PodSpec: &corev1.PodSpec{Containers: []*corev1.Container{{Name: "app", Image: "registry.example.com/hello:1"}}},
		}}},
	}
	if _, err := services.Create(ctx, &servingv1.ServiceServiceCreateRequest{Object: service}); err != nil {
		return err
	}
	for {
		event, err := watch.Recv()
		if err != nil {
			return err
		}
		fmt.Println(event.GetType(), event.GetObject().GetMetadata().GetName())
		switch event.GetType() {
		case "ADDED":
			if _, err := services.Delete(ctx, &metav1.DeleteRequest{Namespace: namespace, Name: name}); err != nil {
				return err
			}
		case "DELETED":
			return nil
		}
	}
}
