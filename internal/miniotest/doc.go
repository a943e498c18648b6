// Package miniotest owns a real STS and S3 server for tests: MinIO, built once by .ci/minio into the user's cache folder.
// Nothing of it is linked into a binary of ours.
package miniotest
