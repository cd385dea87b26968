// A server with the interface of Amazon S3, in memory, which checks signatures.
// s3 ADDRESS BUCKET, with the key in ACCESS_KEY and SECRET_KEY.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

func main() {
	address, bucket := os.Args[1], os.Args[2]
	keys := map[string]string{os.Getenv("ACCESS_KEY"): os.Getenv("SECRET_KEY")}
	backend := s3mem.New()
	if err := backend.CreateBucket(context.Background(), bucket); err != nil {
		log.Fatal(err)
	}
	server := gofakes3.New(backend, gofakes3.WithV4Auth(keys)).Server()
	log.Fatal(http.ListenAndServe(address, server))
}
