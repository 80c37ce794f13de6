"""The first staff account of an embedded database."""

from pathlib import Path

import pytest
from allauth.account.models import EmailAddress

from accounts.models import User
from scalix.embedded.database_content import STAFF_EMAIL, ensure_staff

pytestmark = pytest.mark.django_db


def test_the_first_start_makes_one_whose_password_only_the_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "admin_password"
    ensure_staff(file)
    admin = User.objects.get(email=STAFF_EMAIL)
    assert admin.is_staff
    assert admin.is_superuser
    assert admin.check_password(file.read_text().strip())
    assert file.stat().st_mode & 0o777 == 0o600
    assert EmailAddress.objects.get(user=admin).verified


def test_a_later_start_changes_neither_account_nor_file(tmp_path: Path) -> None:
    file = tmp_path / "admin_password"
    ensure_staff(file)
    file.unlink()  # read and removed, as is wise
    password = User.objects.get().password
    ensure_staff(file)
    assert User.objects.get().password == password
    assert not file.exists()


def test_a_password_whose_account_was_never_made_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "admin_password"
    file.write_text("of a start that was cut short\n")
    ensure_staff(file)
    assert User.objects.get().check_password(file.read_text().strip())


def test_staff_of_ones_own_is_enough(tmp_path: Path) -> None:
    User.objects.create_user("eve@example.com", "correct horse battery", is_staff=True)
    ensure_staff(tmp_path / "admin_password")
    assert User.objects.count() == 1
    assert not (tmp_path / "admin_password").exists()
