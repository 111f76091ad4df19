// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package localpath

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func options(mode corev1.PersistentVolumeMode) controller.ProvisionOptions {
	reclaim := corev1.PersistentVolumeReclaimDelete
	return controller.ProvisionOptions{
		StorageClass: &storagev1.StorageClass{ReclaimPolicy: &reclaim},
		PVName:       "pvc-1",
		PVC: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
			VolumeMode:  &mode,
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		}},
	}
}

func TestProvisionAndDelete(t *testing.T) {
	t.Parallel()
	volumes := folders{dir: t.TempDir()}
	volume, state, err := volumes.Provision(t.Context(), options(corev1.PersistentVolumeFilesystem))
	if err != nil || state != controller.ProvisioningFinished {
		t.Fatalf("Provision: %s, %v", state, err)
	}
	path := volume.Spec.Local.Path
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Fatalf("a container's user cannot write to %s: %v, %v", path, info, err)
	}
	if err := os.WriteFile(filepath.Join(path, "data"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := volumes.Delete(t.Context(), volume); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if err := volumes.Delete(t.Context(), volume); err != nil {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestProvisionRefusesBlock(t *testing.T) {
	t.Parallel()
	if _, _, err := (folders{dir: t.TempDir()}).Provision(t.Context(), options(corev1.PersistentVolumeBlock)); err == nil {
		t.Error("a folder is no block device")
	}
}

func TestDeleteKeepsWhatIsNotAVolumeOfOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	volumes := folders{dir: filepath.Join(dir, "volumes")}
	for _, path := range []string{dir, volumes.dir, volumes.dir + "/..", volumes.dir + "/a/b", volumes.dir + "-2/a"} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
		}}
		var ignored *controller.IgnoredError
		if err := volumes.Delete(t.Context(), volume); !errors.As(err, &ignored) {
			t.Errorf("Delete of %s = %v, want it ignored", path, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
