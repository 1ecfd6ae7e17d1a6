export interface AccountRow {
  account: number;
  group_id: string;
}

/** The accounts of one space: a group id is an account's number for ever. Pure, as SpaceIdentity is. */
export class SpaceAccounts {
  readonly #accounts = new Map<string, number>();
  readonly #created: AccountRow[] = [];
  #nextAccount: number;

  constructor(nextAccount: number) {
    this.#nextAccount = nextAccount;
  }

  know(row: AccountRow): void {
    this.#accounts.set(row.group_id, row.account);
  }

  /** The number of the account with this group id. */
  resolve(groupId: string): number {
    const known = this.#accounts.get(groupId);
    if (known !== undefined) return known;
    const row = { account: this.#nextAccount, group_id: groupId };
    this.#nextAccount += 1;
    this.#accounts.set(groupId, row.account);
    this.#created.push(row);
    return row.account;
  }

  changes(): { nextAccount: number; accounts: AccountRow[] } {
    return { nextAccount: this.#nextAccount, accounts: this.#created };
  }
}
