//! Whole files and folders that are gone, foreign or exchanged.

use recapture::verify::{Fault, Verification};
use recapture_core::digest::sha256;
use recapture_core::signature::SigningKey;

use crate::{Copy, Kind, signer};

fn faults(verification: &Verification) -> Vec<(Fault, &str)> {
    verification.findings.iter().map(|finding| (finding.fault, finding.path.as_str())).collect()
}

#[tokio::test]
async fn each_file_that_is_gone_is_named() {
    let all = Copy::of("signed").files(&[Kind::Lines, Kind::Answer, Kind::Manifest, Kind::File]);
    for file in all {
        let copy = Copy::of("signed");
        std::fs::remove_file(copy.path(&file)).unwrap();
        let expected = match Kind::of(file.as_ref()) {
            Kind::Lines => Fault::WriterLacking,
            Kind::Answer => Fault::RawLacking,
            Kind::Manifest => Fault::ManifestLacking,
            Kind::Seal | Kind::File => Fault::FileLacking,
        };
        let verification = copy.verify().await;
        assert!(faults(&verification).contains(&(expected, &file)), "{file}: {:?}", verification.findings);
    }
}

#[tokio::test]
async fn folders_that_are_gone_are_named() {
    let copy = Copy::of("signed");
    let manifest = copy.files(&[Kind::Manifest]).remove(0);
    std::fs::remove_dir_all(copy.path(&manifest).parent().unwrap()).unwrap();
    assert_eq!(faults(&copy.verify().await), [(Fault::ManifestLacking, manifest.as_str())]);

    let copy = Copy::of("signed");
    std::fs::remove_dir_all(copy.path("runs")).unwrap();
    let verification = copy.verify().await;
    assert_eq!(verification.findings.len(), 8);
    assert!(faults(&verification).iter().all(|(fault, _)| *fault == Fault::EvidenceLacking));
}

/// What one writer's seal says stands in the others' too; without any of them it is told that they lack.
#[tokio::test]
async fn a_closed_run_without_its_seals_does_not_verify() {
    let copy = Copy::of("signed");
    let seals = copy.files(&[Kind::Seal]);
    for (seal, left) in seals.iter().zip((0..seals.len()).rev()) {
        std::fs::remove_file(copy.path(seal)).unwrap();
        let verification = copy.verify().await;
        assert_eq!(verification.verified(), left > 0, "{:?}", verification.findings);
        assert!(left > 0 || faults(&verification)[0].0 == Fault::SealLacking);
    }
}

#[tokio::test]
async fn meetings_that_changed_places_are_named() {
    let copy = Copy::of("signed");
    let manifests = copy.files(&[Kind::Manifest]);
    let folder = |at: usize| copy.path(&manifests[at]).parent().unwrap().to_owned();
    let aside = copy.path("aside");
    std::fs::rename(folder(0), &aside).unwrap();
    std::fs::rename(folder(1), folder(0)).unwrap();
    std::fs::rename(&aside, folder(1)).unwrap();
    let verification = copy.verify().await;
    let expected =
        [(Fault::ManifestChanged, manifests[0].as_str()), (Fault::ManifestChanged, manifests[1].as_str())];
    assert_eq!(faults(&verification), expected);
}

/// A manifest that names a file elsewhere is not followed there.
#[tokio::test]
async fn names_that_lead_out_of_the_folder_are_not_followed() {
    let copy = Copy::of("unsealed");
    let manifest = copy.files(&[Kind::Manifest]).remove(0);
    let text = std::fs::read_to_string(copy.path(&manifest)).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["files"][0]["path"] = "../../../../../../etc/passwd".into();
    std::fs::write(copy.path(&manifest), value.to_string()).unwrap();
    let verification = copy.verify().await;
    assert!(verification.findings.iter().any(|finding| finding.detail.contains("has no name in its folder")));
}

/// Whoever can write everything can make a record that holds together, but not with the key that is expected.
#[tokio::test]
async fn where_a_key_is_expected_no_other_signature_and_none_will_do() {
    let other = SigningKey::parse(&"7".repeat(64)).unwrap();
    let copy = Copy::of("signed");
    for seal in copy.files(&[Kind::Seal]) {
        let text = std::fs::read_to_string(copy.path(&seal)).unwrap();
        let (statement, signed) = text.trim_end().split_once('\n').unwrap();
        let hash = sha256(statement.as_bytes());
        let (key, signature) = (other.public(), other.sign(statement.as_bytes()));
        let unsigned = format!("{{\"sha256\":\"{hash}\"}}");
        let foreign =
            format!("{{\"sha256\":\"{hash}\",\"public_key\":\"{key}\",\"signature\":\"{signature}\"}}");
        for forged in [unsigned, foreign] {
            std::fs::write(copy.path(&seal), format!("{statement}\n{forged}\n")).unwrap();
            assert_eq!(copy.verify().await.findings, []);
            let pinned = copy.verify_with(Some(&signer())).await;
            assert_eq!(faults(&pinned), [(Fault::SignatureForeign, seal.as_str())]);
        }
        let altered = statement.replacen("2026", "2027", 1);
        let signed = signed.replacen(&hash, &sha256(altered.as_bytes()), 1);
        std::fs::write(copy.path(&seal), format!("{altered}\n{signed}\n")).unwrap();
        assert!(faults(&copy.verify().await).contains(&(Fault::SignatureBad, &seal)));
        std::fs::write(copy.path(&seal), text).unwrap();
    }
}
